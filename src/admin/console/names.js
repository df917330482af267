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
  return { host, sni, accepted: origin.common_name_whitelist ?? [], pins: origin.pin ?? [], isHostGiven: Boolean(table.host || origin.host), isSniGiven: Boolean(table.sni || origin.sni) };
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

/** The names of both sides that agree with one of the other side: accepted ones, and those on the certificate. */
export function namesThatMeet(sent, names) {
  const accepted = [sent.sni, ...sent.accepted].filter((entry, index) => names.some((name) => covers(name, entry) || (index > 0 && covers(entry, name))));
  const shown = names.filter((name) => covers(name, sent.sni) || sent.accepted.some((entry) => covers(entry, name) || covers(name, entry)));
  return { accepted: new Set(accepted), shown: new Set(shown) };
}

/**
 * Every pair, `[kind, word, which two, why]`, and the verdict `[kind, title, what to do]`. `isInForce`: these are the
 * settings that the doctor has asked with, so its own word counts.
 */
export function judge(sent, certificate, isInForce) {
  const host = sent.host.replace(/:\d+$/, "");
  const pairs = [host === sent.sni ? ["good", "Agree", "Host and SNI", "the same name"] : ["info", "Differ", "Host and SNI", "as set; that is allowed"]];
  if (!certificate) return { pairs, verdict: ["info", "The certificate for this SNI is not known yet", "Press “Look now” to ask the origin; nothing is changed by it."] };
  if (certificate.refused) {
    pairs.push(["bad", "Refused", "SNI and server", certificate.refused]);
    return { pairs, verdict: ["bad", "The handshake fails", "Visitors get a 502. The server does not know this name; set another SNI."] };
  }
  const isPinned = sent.pins.length > 0;
  const pinned = isPinned && sent.pins.some((pin) => pin.toLowerCase() === certificate.fingerprint?.toLowerCase());
  const covered = covering(certificate.names, sent.sni);
  const met = whitelisted(sent.accepted, certificate.names);
  const isTrusted = !certificate.chain_error;
  const isOver = certificate.days_left < 0;
  if (isPinned) pairs.push(pinned ? ["good", "Agree", "Pin and certificate", "this very certificate is pinned; names, issuer and dates do not count"] : ["bad", "Differ", "Pin and certificate", `no pin is ${certificate.fingerprint ?? "this certificate's"}`]);
  else pairs.push(...namePairs(sent, covered, met), chainPair(certificate), ...datePair(certificate));
  const computed = isPinned ? pinned : Boolean((covered || met) && isTrusted && !isOver);
  const isGood = isInForce ? (certificate.accepted ?? computed) : computed;
  if (isGood) return { pairs, verdict: ["good", "Fetches accept this certificate", certificate.is_chain_open ? "By its names and dates; its chain is looked at by the rehearsal." : ""] };
  return { pairs, verdict: ["bad", "Fetches refuse this certificate", `Visitors get a 502 (tls_certificate_error). ${remedyText(isPinned, covered || met, isTrusted, isOver)}`] };
}

function namePairs({ sni, accepted }, covered, met) {
  const own = covered ? ["good", "Agree", "SNI and certificate", `${covered} covers ${covered === sni ? "it" : sni}`] : [met ? "info" : "bad", "Differ", "SNI and certificate", `no name on it covers ${sni}${met ? "; the whitelist does" : ""}`];
  if (accepted.length === 0) return [own];
  const listed = met ? ["good", "Agree", "Whitelist and certificate", met.entry === met.name ? `${met.name} is on both` : `${met.entry} and ${met.name} meet`] : [covered ? "info" : "bad", covered ? "Not needed" : "Differ", "Whitelist and certificate", "no entry meets a name on it"];
  return [own, listed];
}

function chainPair({ chain_error: error, is_chain_open: isOpen, issuer }) {
  if (error) return ["bad", "Not trusted", "Chain", error];
  return isOpen ? ["info", "Not known", "Chain", `issued by ${issuer}; “Look now” asks`] : ["good", "Trusted", "Chain", `issued by ${issuer}`];
}

function datePair({ days_left: days }) {
  if (days === null || days === undefined) return [];
  if (days < 0) return [["bad", "Expired", "Dates", "renew it at the origin"]];
  return [days < 21 ? ["warn", "Ends soon", "Dates", "have it renewed at the origin"] : ["good", "Valid", "Dates", "it does not end soon"]];
}

function remedyText(isPinned, agrees, isTrusted, isOver) {
  if (isPinned) return "Pin the certificate that the origin shows now, or take the pins out.";
  if (isOver) return "It has ended; no setting helps but a renewal at the origin.";
  if (!isTrusted) return "Its chain is not trusted, which the whitelist never rescues: set an SNI for which the server shows another, or trust its CA.";
  return agrees ? "" : "Set the SNI to a name on the certificate, or add one of its names to the whitelist.";
}
