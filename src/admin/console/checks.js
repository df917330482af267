// A check of the doctor as it is shown: step, outcome, what was seen, what mends it.
import { h } from "./dom.js";
import { millisText } from "./format.js";
import { badge, button, mark, table } from "./parts.js";

const OUTCOMES = { ok: ["good", "In order"], warning: ["warn", "To look at"], BROKEN: ["bad", "Broken"] };

/** One step; `onFix(fix)` offers to apply a remedy that changes the configuration. */
export function checkItem(check, { onFix, server }) {
  const [kind, words] = OUTCOMES[check.outcome] ?? ["info", check.outcome];
  const told = check.finding ? [check.finding.what, ...check.finding.evidence] : [];
  const lines = check.lines.filter((line) => !told.includes(line));
  return h(
    "li",
    { class: `check ${kind}` },
    mark(kind, words),
    h(
      "div",
      { class: "check-body" },
      h("p", { class: "check-head" }, h("b", {}, titleOf(check)), server && h("code", { class: "note" }, server), h("span", { class: `check-outcome ${kind}` }, words), h("span", { class: "note", title: `${check.milliseconds} ms` }, millisText(check.milliseconds))),
      lines.length > 0 && h("ul", { class: "check-lines" }, lines.map((line) => h("li", {}, line))),
      check.finding && findingView(check.finding, kind, onFix),
    ),
  );
}

const TITLES = { configuration: "Settings", DNS: "Name resolves", reachability: "Server can be reached", protocol: "Protocol", "TLS handshake": "TLS handshake", "SNI matrix": "Certificates by SNI", certificate: "Certificate", HTTP: "Answer", cacheability: "May be kept" };

function titleOf(check) {
  return TITLES[check.name] ?? check.name;
}

function findingView(finding, kind, onFix) {
  const fixes = [finding.fix, ...(finding.alternatives ?? [])].filter((fix) => fix && (fix.what || fix.changes.length > 0));
  return h(
    "div",
    { class: `finding ${kind}` },
    h("p", { class: "finding-what" }, finding.what),
    finding.error && h("p", { class: "note" }, "Visitors get ", h("code", {}, finding.error)),
    finding.evidence.length > 0 && h("ul", { class: "evidence" }, finding.evidence.map((text) => h("li", {}, text))),
    fixes.length > 0 && h("h3", {}, fixes.length > 1 ? "What mends it, the smaller change first" : "What mends it"),
    h("ol", { class: "fixes" }, fixes.map((fix, index) => fixView(fix, index, onFix))),
    finding.commands.length > 0 && h("details", { class: "commands" }, h("summary", {}, "See it yourself"), finding.commands.map((text) => h("pre", { tabindex: 0, "aria-label": "Command" }, text))),
  );
}

function fixView(fix, index, onFix) {
  const isReady = fix.changes.length > 0 && fix.changes.every((change) => !/\b(NAME|PORT|ADDRESS|HOST|FILE|PATH)\b/.test(change.text));
  return h(
    "li",
    { class: "fix" },
    h(
      "div",
      {},
      fix.what && h("p", {}, fix.what),
      fix.changes.map((change) => h("p", { class: "fix-change" }, h("code", {}, change.text), h("span", { class: "note" }, change.line > 0 ? `in the place of line ${change.line}` : `under ${change.section}`))),
      fix.trusts && h("p", { class: "note" }, fix.trusts.startsWith("this ") ? fix.trusts : `This trusts ${fix.trusts}`),
    ),
    isReady && onFix && button(index === 0 ? "Apply this fix…" : "Apply…", (event) => onFix(fix, event.currentTarget), { kind: index === 0 ? "primary" : "plain", key: `fix-${index}` }),
  );
}

/** Which certificate a server shows for which server name. */
export function sniTable(server, rows) {
  return table(
    `Certificates by server name, ${server}`,
    [
      { title: "SNI", cell: (row) => h("div", { class: "cell-two" }, h("code", {}, row.sni ?? "(none)"), h("span", { class: "note" }, row.roles.join(", "))) },
      { title: "Certificate", cell: (row) => (row.certificate ? h("span", { title: row.certificate.names.join(", "), class: "mono wrap-anywhere" }, row.certificate.names[0]) : h("span", { class: "bad-text" }, row.refused ?? "none")) },
      { title: "Issuer", cell: (row) => row.certificate?.issuer ?? "–" },
      { title: "Days", kind: "right", cell: (row) => (row.certificate ? String(row.certificate.days_left) : "–") },
      { title: "Chain", cell: (row) => row.certificate && (row.certificate.chain_error ? badge("bad", "Bad", row.certificate.chain_error) : badge("good", "Good")) },
      { title: "Name", cell: (row) => row.certificate && (row.certificate.names_sni ? badge("good", "Covers") : badge("warn", "Other")) },
      { title: "A fetch", cell: (row) => (row.certificate?.accepted ? badge("good", "Accepts") : badge("bad", "Refuses")) },
    ],
    rows,
  );
}
