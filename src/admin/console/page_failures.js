// Failures: the ledger. Since when, how often, one address or all, with an example each.
import { read } from "./api.js";
import { h, replace } from "./dom.js";
import { ago, count, millisText, when } from "./format.js";
import { badge, card, empty, facts, failed, link, pageHead, skeleton } from "./parts.js";

export function show(context) {
  context.title("Failures");
  const state = { site: context.query.get("site") ?? "", cause: context.query.get("cause") ?? "", open: new Set(), items: null };
  const box = h("div", { class: "stack" }, skeleton(6));
  const filters = h("div", { class: "filters" });
  replace(context.main, pageHead("Failures", "Failed fetches by site, cause and origin address: how often, since when, and when a fetch from there last went well."), filters, box);
  let known = "";
  const draw = () => {
    const values = JSON.stringify(state.items.map((item) => [item.site, item.cause]));
    if (values !== known) replace(filters, select("Site", "site", state, draw), select("Cause", "cause", state, draw));
    known = values;
    const shown = state.items.filter((item) => (!state.site || item.site === state.site) && (!state.cause || item.cause === state.cause));
    filters.hidden = state.items.length === 0;
    replace(box, listing(shown, state));
  };
  context.every(15_000, async () => {
    try {
      state.items = (await read("/failures", context.signal)).items;
      return draw;
    } catch (error) {
      if (error.name !== "AbortError" && !state.items) replace(box, failed(error));
      throw error;
    }
  });
}

function select(label, key, state, draw) {
  const values = [...new Set(state.items.map((item) => item[key]))].sort();
  if (state[key] && !values.includes(state[key])) values.push(state[key]);
  const control = h("select", { class: "input", id: `filter-${key}`, "data-key": `filter-${key}`, onchange: () => {
    state[key] = control.value;
    draw();
  } }, h("option", { value: "" }, "All"), values.map((value) => h("option", { value, selected: value === state[key] }, value)));
  return h("div", { class: "field inline" }, h("label", { for: `filter-${key}`, class: "field-label" }, label), control);
}

function isOpen(item) {
  return !item.last_good || new Date(item.last_good) < new Date(item.last);
}

function listing(items, state) {
  if (state.items.length === 0) return card(null, {}, empty("certificates", "No failed fetch", "Since the ledger began every origin fetch went well. What fails from now on is listed here, also over restarts."));
  if (items.length === 0) return card(null, {}, empty("explain", "Nothing matches", "No failure of this site and cause."));
  const sorted = [...items].sort((a, b) => Number(isOpen(b)) - Number(isOpen(a)) || (a.last < b.last ? 1 : -1));
  return h("ul", { class: "failures" }, sorted.map((item) => entry(item, state)));
}

function entry(item, state) {
  const key = [item.site, item.server, item.address, item.cause].join("|");
  const details = h(
    "details",
    { class: "failure", open: state.open.has(key), ontoggle: () => (details.open ? state.open.add(key) : state.open.delete(key)) },
    h(
      "summary",
      { "data-key": key },
      h("span", { class: "failure-state" }, isOpen(item) ? badge("bad", "Goes on") : badge("good", "Over")),
      h("span", { class: "failure-title" }, h("code", {}, item.cause), h("span", {}, item.site), item.server && h("span", { class: "note mono" }, item.server)),
      h("span", { class: "failure-count" }, h("b", {}, count(item.count)), " times"),
      h("span", { class: "failure-when" }, "last ", ago(item.last)),
    ),
    h("div", { class: "failure-body" }, body(item, key)),
  );
  return h("li", { class: "card flush" }, details);
}

function body(item, key) {
  const example = item.example ?? {};
  return [
    item.fix_hint && h("p", { class: "fix-hint" }, item.fix_hint),
    facts([
      ["First seen", when(item.first)],
      ["Last seen", when(item.last)],
      ["Last good fetch", item.last_good ? when(item.last_good) : item.ever_good ? "before the ledger" : "none is known"],
      ["Concerns", item.scope],
      item.address && ["Address", h("code", {}, item.address)],
      ["Phase", item.phase?.replaceAll("_", " ")],
      ["Status for visitors", item.status && String(item.status)],
      ["Times of the last one", times(item.times)],
    ]),
    h("h2", {}, "An example"),
    facts(
      [
        ["What happened", example.detail],
        ["Request id", example.request_id && h("code", {}, example.request_id)],
        example.sni && ["SNI sent", h("code", {}, example.sni)],
        example.alert !== null && example.alert !== undefined && ["TLS alert", String(example.alert)],
        example.certificate_names?.length > 0 && ["On the certificate", h("code", {}, example.certificate_names.join(", "))],
        example.response_head && ["What came instead of a head", h("code", {}, example.response_head)],
      ],
      "wide",
    ),
    h("div", { class: "actions" }, link("Diagnose", `#/diagnose?target=${encodeURIComponent(item.site)}`, { kind: "primary", iconName: "diagnose", key: `diagnose-${key}` }), link("Origin Fetch", `#/domains/${encodeURIComponent(item.site)}/origin`, { kind: "plain", key: `origin-${key}` })),
  ];
}

const ORDER = ["queue", "dns", "connect", "tls", "send", "first_byte", "head", "body", "total"];

function times(phases) {
  const rank = ([phase]) => (ORDER.indexOf(phase.replace(/_ms$/, "")) + 1 || ORDER.length + 1);
  const known = Object.entries(phases ?? {}).filter(([, value]) => value !== null).sort((one, other) => rank(one) - rank(other));
  return known.length ? known.map(([phase, value]) => `${phase.replace(/_ms$/, "").replaceAll("_", " ")} ${millisText(value)}`).join(", ") : "–";
}
