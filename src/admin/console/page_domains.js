// Domain Names: every site, how it fetches and how it fares.
import { read } from "./api.js";
import { h, replace } from "./dom.js";
import { ago, count, percentText, plural } from "./format.js";
import { badge, card, empty, failed, link, pageHead, skeleton, table } from "./parts.js";

const PROTOCOLS = { http: "HTTP", https: "HTTPS", follow: "Follow", "by-port": "By port" };

export function show(context) {
  context.title("Domain Names");
  const box = h("div", {}, skeleton(6));
  const filter = h("input", { class: "input search", type: "search", placeholder: "Filter", "aria-label": "Filter domain names", oninput: () => draw() });
  const actions = link("Add a domain name", "#/domains/new", { kind: "primary", iconName: "plus" });
  replace(context.main, pageHead("Domain Names", "The names that visitors ask for, and the origins behind them.", actions), box);
  let rows = null;
  const draw = () => {
    const word = filter.value.trim().toLowerCase();
    const shown = rows.filter((row) => !word || [row.name, ...row.domains, ...row.servers.map((server) => server.address)].some((text) => text.toLowerCase().includes(word)));
    replace(listing, shown.length === 0 ? empty("explain", "Nothing matches", "No domain name or server contains this text.") : sites(shown));
  };
  const listing = h("div");
  context.every(10_000, async () => {
    try {
      const [sites, ends] = await Promise.all([read("/sites", context.signal), certificateEnds(context.signal)]);
      rows = sites.items.map((row) => ({ ...row, certificate_days_left: row.certificate_days_left ?? ends.get(row.name) ?? null }));
    } catch (error) {
      if (error.name !== "AbortError" && !rows) replace(box, failed(error));
      throw error;
    }
    return () => {
      if (rows.length === 0) {
        replace(box, card(null, {}, first()));
        return;
      }
      if (!listing.isConnected) replace(box, h("div", { class: "stack" }, rows.length > 5 && filter, card(null, { flush: true }, listing)));
      draw();
    };
  });
}

/** Days that are left of the certificate that visitors see, by site. */
async function certificateEnds(signal) {
  try {
    const { items } = await read("/certificates", signal);
    return new Map(items.filter((item) => item.side === "client").map((item) => [item.site, item.days_left]));
  } catch (error) {
    if (error.name === "AbortError") throw error;
    return new Map();
  }
}

function first() {
  return empty(
    "domains",
    "No domain name yet",
    "Say which name visitors ask for and where its content comes from. Millpond shows what it would write, tries it, and only then applies it.",
    link("Add the first domain name", "#/domains/new", { kind: "primary", iconName: "plus" }),
  );
}

function sites(rows) {
  return table(
    "Domain names",
    [
      { title: "Domain names", cell: (row) => h("div", { class: "cell-two" }, h("span", { class: "wrap-anywhere" }, link(row.name, `#/domains/${encodeURIComponent(row.name)}`, { key: `name-${row.name}` })), row.domains.length > 1 && h("span", { class: "note", title: row.domains.slice(1).join(", ") }, `and ${plural(row.domains.length - 1, "more name")}`)) },
      { title: "State", cell: state },
      { title: "Origin Fetch", cell: (row) => h("div", { class: "cell-two" }, h("span", { class: "mono wrap-anywhere" }, row.servers[0]?.address ?? "–"), h("span", { class: "note" }, `${PROTOCOLS[row.protocol] ?? row.protocol}${row.servers.length > 1 ? `, ${plural(row.servers.length, "server")}` : ""}${row.sni ? `, SNI ${row.sni}` : ""}`)) },
      { title: "HTTPS", cell: https },
      { title: "Requests", kind: "right", cell: (row) => h("div", { class: "cell-two" }, count(row.requests), row.requests > 0 && h("span", { class: "note" }, `${percentText(row.hits / row.requests)} hits`)) },
      { title: "", kind: "right", cell: (row) => link("Manage", `#/domains/${encodeURIComponent(row.name)}`, { kind: "plain small", key: `manage-${row.name}`, label: `Manage ${row.name}` }) },
    ],
    rows,
    { rowKey: (row) => row.name },
  );
}

function state(row) {
  if (row.healthy === false) {
    return h("div", { class: "cell-two" }, badge("bad", "Fails"), row.last_failure && h("span", { class: "note" }, h("code", { class: "nowrap" }, row.last_failure.cause), " ", h("span", { class: "nowrap" }, ago(row.last_failure.at))));
  }
  if (row.healthy === null) return badge("idle", "Not asked yet");
  return h("div", { class: "cell-two" }, badge("good", "Healthy"), row.last_failure && h("span", { class: "note" }, "last failure ", ago(row.last_failure.at)));
}

function https(row) {
  if (!row.https) return badge("idle", "HTTP only");
  const days = row.certificate_days_left;
  if (days === null || days === undefined) return badge("good", "On");
  if (days < 0) return badge("bad", "Expired");
  return badge(days < 21 ? "warn" : "good", plural(days, "day"), "Days until the certificate ends");
}
