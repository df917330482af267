// The names of a fetch, by the proxy's own rules: where it goes, which names it sends, whether a certificate passes.

/** `{ scheme, address, port, text, note, trap }` of a server under these settings of `origin`. */
export function target(server, origin) {
  const table = typeof server === "string" ? { address: server } : server;
  const address = (table.address ?? "").trim();
  if (!address) return null;
  const [name, own] = split(address);
  const note = table.role === "backup" ? "backup" : "";
  if (origin.protocol === "follow") {
    const [plain, secure] = [origin.ports?.http ?? own ?? 80, origin.ports?.https ?? own ?? 443];
    return { name, table, scheme: "follow", port: secure, text: `http://${name}:${plain} or https://${name}:${secure}`, note: [note, "as the visitor's request"].filter(Boolean).join(", ") };
  }
  const scheme = origin.protocol ?? (own === 443 ? "https" : "http");
  const port = (origin.protocol && origin.ports?.[scheme]) ?? own ?? (scheme === "https" ? 443 : 80);
  return { name, table, scheme, port, text: `${scheme}://${name}:${port}`, note, trap: !origin.protocol && own !== null && own !== 80 && own !== 443 };
}

function split(address) {
  const match = /^(.*?)(?::(\d+))?$/.exec(address);
  if (address.includes("::") && !address.startsWith("[")) return [address, null];
  return [match[1] || address, match[2] ? Number(match[2]) : null];
}

/** The names that a fetch from this server sends and accepts; `asked` is the name that a visitor asks for. */
export function sentNames(server, origin, asked) {
  const table = typeof server === "string" ? { address: server } : server ?? {};
  const host = table.host || origin.host || asked;
  const sni = table.sni || origin.sni || split(host)[0];
  return { host, sni, accepted: origin.common_name_whitelist ?? [], isHostGiven: Boolean(table.host || origin.host), isSniGiven: Boolean(table.sni || origin.sni) };
}

/** The first of the certificate's names that covers the SNI. */
export function covering(names, sni) {
  return names.find((name) => covers(name, sni));
}

/** The whitelist entry and the certificate's name that meet: equal, or one covers the other. */
export function whitelisted(entries, names) {
  for (const entry of entries) {
    const name = names.find((name) => covers(entry, name) || covers(name, entry));
    if (name) return { entry, name };
  }
  return null;
}

/** `*` stands for exactly one label. */
export function covers(pattern, name) {
  const [one, other] = [pattern.toLowerCase(), name.toLowerCase()];
  if (one === other) return true;
  if (!one.startsWith("*.")) return false;
  const dot = other.indexOf(".");
  return dot > 0 && !other.startsWith("*") && other.slice(dot + 1) === one.slice(2);
}
