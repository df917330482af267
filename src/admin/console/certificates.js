// Certificates as a table, for the page of all and for the section of one site.
import { h } from "./dom.js";
import { day, plural } from "./format.js";
import { badge, link, table } from "./parts.js";

const STATES = { ok: ["good", "In order"], "ends-soon": ["warn", "Ends soon"], expired: ["bad", "Expired"], unknown: ["idle", "Not known"] };

export function certificateTable(label, items, { withSite = true } = {}) {
  const columns = [
    { title: "Names", cell: (item) => h("div", { class: "cell-two" }, item.names.length > 0 ? h("span", { class: "mono wrap-anywhere" }, item.names[0]) : h("span", { class: "note" }, "not seen yet"), item.names.length > 1 && h("span", { class: "note", title: item.names.slice(1).join(", ") }, `and ${plural(item.names.length - 1, "more name")}`)) },
    withSite && { title: "Site", cell: (item) => h("div", { class: "cell-two" }, item.site ? h("span", { class: "wrap-anywhere" }, link(item.site, `#/domains/${encodeURIComponent(item.site)}/${item.side === "client" ? "https" : "origin"}`)) : "–", item.server && h("span", { class: "note mono wrap-anywhere" }, item.server), item.sni && h("span", { class: "note" }, `SNI ${item.sni}`)) },
    { title: "State", cell: (item) => h("div", { class: "cell-two" }, badge(...(item.refusal && item.state !== "expired" ? ["bad", "Refused"] : (STATES[item.state] ?? STATES.unknown))), item.refusal && h("span", { class: "note" }, item.refusal)) },
    { title: "Ends", cell: (item) => h("div", { class: "cell-two" }, h("b", { class: "nowrap" }, daysLeft(item)), item.not_after && h("span", { class: "note nowrap" }, day(item.not_after))) },
    { title: "Issuer", cell: (item) => h("div", { class: "cell-two" }, h("span", { class: "wrap-anywhere" }, item.issuer ?? "–"), item.fingerprint && h("details", { class: "inner" }, h("summary", { class: "note" }, "Fingerprint"), h("code", {}, item.fingerprint))) },
  ].filter(Boolean);
  return table(label, columns, items);
}

function daysLeft(item) {
  if (item.days_left === null || item.days_left === undefined) return "–";
  return item.days_left < 0 ? `ended ${plural(-item.days_left, "day")} ago` : plural(item.days_left, "day");
}
