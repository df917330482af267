// Cache rules: how long things stay, what the key is made of, and rules by path.
import { h, replace, uid } from "./dom.js";
import { choice, list, pairs, text, toggle } from "./fields.js";
import { frame } from "./fields.js";
import { mores } from "./mores.js";
import { button, card, empty } from "./parts.js";

export function cacheSection({ draft }) {
  return [
    card("Lifetimes", { note: "The origin's Cache-Control decides, unless you say more. Durations are written 30s, 5m, 1h, 30d." }, lifetimes(draft)),
    card("Rules", { note: "In order: the first rule that matches and says something decides." }, rulesField(draft)),
    card("Cache key", { note: "What makes two requests the same." }, key(draft)),
    mores(draft, [
      { title: "Ranges and visitors' wishes", note: "Parts of large files, a visitor's Cache-Control, cookies", paths: ["range_fetch", "slice_size", "client_cache_control", "store_set_cookie"], content: ranges(draft) },
      { title: "Response headers", note: "Fields of answers on their way to visitors; what is stored stays as it came", paths: ["response"], content: responses(draft) },
    ]),
  ];
}

function lifetimes(draft) {
  return [h(
    "div",
    { class: "fields" },
    choice(draft, "cache.precedence", { label: "Who decides", key: "precedence", help: "Whose lifetime counts where both give one." }, [["", "The origin (default)"], ["rule", "Your rules"]]),
    text(draft, "cache.default_ttl", { label: "Default lifetime", key: "default_ttl", unit: "duration", placeholder: "0s: not stored", help: "Where nobody gives one." }),
    text(draft, "cache.min_ttl", { label: "Shortest lifetime", key: "min_ttl", unit: "duration", placeholder: "0s" }),
    text(draft, "cache.max_ttl", { label: "Longest lifetime", key: "max_ttl", unit: "duration", placeholder: "no limit" }),
    text(draft, "cache.negative_ttl", { label: "Failed fetches", key: "negative_ttl", unit: "duration", placeholder: "0s: off", help: "A failed fetch is not repeated for so long; 10s at most." }),
    h("div", { class: "span" }, pairs(draft, "cache.status", { label: "By status", key: "cache.status", item: "Status", add: "Add a status", help: "A status such as 404, or a class such as 5xx." }, ["Status", "Lifetime", "404", "10s"])),
  ), h(
    "div",
    { class: "fields" },
    toggle(draft, "cache.override_no_store", { label: "Set no-store aside", key: "override_no_store", help: "Only beside “Your rules decide”." }),
    toggle(draft, "cache.show_lifetime", { label: "Show lifetimes", key: "show_lifetime", help: "Adds X-Cache-Lifetime to answers." }),
  )];
}

function key(draft) {
  return [
    h(
      "div",
      { class: "fields" },
      choice(draft, "cache.query", { label: "Query", key: "query" }, [["", "Counts (default)"], ["ignore", "Ignored"]]),
      list(draft, "cache.query_drop", { label: "Ignored parameters", key: "query_drop", placeholder: "utm_*" }),
      list(draft, "cache.query_keep", { label: "Only these count", key: "query_keep", placeholder: "page" }),
      list(draft, "cache.key_headers", { label: "Headers that count", key: "key_headers", placeholder: "X-Device" }),
      list(draft, "cache.key_cookies", { label: "Cookies that count", key: "key_cookies", placeholder: "currency" }),
    ),
    h(
      "div",
      { class: "fields" },
      toggle(draft, "cache.sort_query", { label: "Sort the query", key: "sort_query", help: "?a=1&b=2 and ?b=2&a=1 are the same." }),
      toggle(draft, "share_schemes", { label: "http and https share", key: "share_schemes" }),
      toggle(draft, "share_domains", { label: "All names of the site share", key: "share_domains", help: "Needs a Host of the origin." }),
      toggle(draft, "cache.show_key", { label: "Show the key", key: "show_key", help: "In Cache-Status, to see what a URL became." }),
    ),
  ];
}

function ranges(draft) {
  return h(
    "div",
    { class: "fields" },
    choice(draft, "range_fetch", { label: "A range of something not stored", key: "range_fetch" }, [["", "Asks for that range (default)"], ["whole", "Asks for the whole"], ["slices", "Asks for slices"]]),
    text(draft, "slice_size", { label: "Size of slices", key: "slice_size", unit: "size" }),
    choice(draft, "client_cache_control", { label: "A visitor's Cache-Control", key: "client_cache_control" }, [["", "May force a validation (default)"], ["ignore", "Is ignored"]]),
    toggle(draft, "store_set_cookie", { label: "Store responses that set cookies", key: "store_set_cookie", help: "Where they say that they are shared." }),
  );
}

function responses(draft) {
  return h(
    "div",
    { class: "fields" },
    h("div", { class: "span" }, pairs(draft, "response.set", { label: "Fields to set", key: "response.set", item: "Field", add: "Set a field" }, ["Name", "Value", "X-Frame-Options", "DENY"])),
    h("div", { class: "span" }, pairs(draft, "response.add", { label: "Fields to add", key: "response.add", item: "Field", add: "Add a field" }, ["Name", "Value", "X-Served-By", "millpond"])),
    h("div", { class: "span" }, list(draft, "response.remove", { label: "Fields to leave out", key: "response.remove", item: "Field", placeholder: "X-Powered-By" })),
  );
}

const CONDITIONS = [["path", "Path", "/static/ or /img/**.png"], ["extension", "Extension", "css js png"], ["query", "Query parameter", "preview"], ["cookie", "Cookie", "session"], ["header", "Header", "Authorization"], ["status", "Status", "404"]];

function rulesField(draft) {
  const rules = structuredClone(draft.read("rule") ?? []);
  const box = h("div", { class: "rules" });
  const save = () => draft.write("rule", rules.length ? rules : null);
  const change = (action, focus) => {
    action();
    save();
    draw();
    focus?.();
  };
  const draw = () =>
    replace(
      box,
      rules.length === 0 && empty("settings", "No rule yet", "Without rules the lifetimes above hold for every path."),
      h("ol", { class: "rule-list" }, rules.map((rule, index) => ruleRow(rule, index, rules, { save, change, draw, box }))),
      button("Add a rule", () => change(() => rules.push({ path: "/", ttl: "1h" }), () => box.querySelector(".rule:last-of-type input")?.focus()), { iconName: "plus" }),
    );
  draw();
  return frame(draft, "rule", { label: "Rules", key: "rule", item: "Rule", isHidden: true }, box, { group: true, row: (part) => box.querySelectorAll(".rule")[part - 1] });
}

function ruleRow(rule, index, rules, { save, change, box }) {
  const move = (by) => change(() => rules.splice(index + by, 0, ...rules.splice(index, 1)), () => box.querySelectorAll(".rule")[index + by]?.querySelector(".rule-tools button:not(:disabled)")?.focus());
  const tools = h(
    "div",
    { class: "rule-tools" },
    button("", () => move(-1), { kind: "quiet", iconName: "up", label: `Move rule ${index + 1} up`, disabled: index === 0 }),
    button("", () => move(1), { kind: "quiet", iconName: "down", label: `Move rule ${index + 1} down`, disabled: index === rules.length - 1 }),
    button("", () => change(() => rules.splice(index, 1)), { kind: "quiet", iconName: "trash", label: `Remove rule ${index + 1}` }),
  );
  return h("li", { class: "rule", "aria-label": `Rule ${index + 1}` }, h("span", { class: "rule-number", "aria-hidden": "true" }, index + 1), h("div", { class: "rule-body" }, conditions(rule, index, save, change), action(rule, index, save, change)), tools);
}

function conditions(rule, index, save, change) {
  const shown = CONDITIONS.filter(([key]) => rule[key] !== undefined);
  const rest = CONDITIONS.filter(([key]) => rule[key] === undefined);
  const adder = h("select", { class: "input small", "aria-label": `Add a condition to rule ${index + 1}`, onchange: () => change(() => (rule[adder.value] = "")) }, h("option", { value: "" }, "+ condition"), rest.map(([key, label]) => h("option", { value: key }, label)));
  return h("div", { class: "rule-part" }, h("span", { class: "rule-word" }, shown.length ? "If" : "Always"), shown.map(([key, label, placeholder]) => condition(rule, key, label, placeholder, save, change)), rest.length > 0 && adder);
}

function condition(rule, key, label, placeholder, save, change) {
  const id = uid("condition");
  const input = h("input", { class: "input mono", id, type: "text", placeholder, value: [rule[key]].flat().join(" "), autocomplete: "off", spellcheck: "false", oninput: () => {
    const parts = input.value.trim().split(/\s+/).filter(Boolean).map((part) => (key === "status" && /^\d+$/.test(part) ? Number(part) : part));
    rule[key] = parts.length === 1 ? parts[0] : parts;
    save();
  } });
  return h("span", { class: "condition" }, h("label", { for: id }, label), input, button("", () => change(() => delete rule[key]), { kind: "quiet", iconName: "close", label: `Remove the condition ${label}` }));
}

/** What a rule does: a lifetime, a bypass, or the end of both for later rules. */
const ACTIONS = { ttl: ["keep for", { ttl: "1h" }], bypass: ["do not use the store", { bypass: true }], both: ["use the store, and keep for", { bypass: false, ttl: "1h" }], use: ["use the store, whatever later rules say", { bypass: false }] };

function modeOf({ bypass, ttl }) {
  if (bypass === true) return "bypass";
  if (bypass === false) return ttl === undefined ? "use" : "both";
  return "ttl";
}

function action(rule, index, save, change) {
  const mode = modeOf(rule);
  const select = h("select", { class: "input small", "aria-label": `What rule ${index + 1} does`, onchange: () => change(() => {
    const { ttl = "1h" } = rule;
    delete rule.bypass;
    delete rule.ttl;
    Object.assign(rule, ACTIONS[select.value][1]);
    if (rule.ttl) rule.ttl = ttl;
  }) }, Object.entries(ACTIONS).map(([value, [label]]) => h("option", { value, selected: value === mode }, label)));
  const ttl = h("input", { class: "input short", type: "text", "aria-label": `Lifetime of rule ${index + 1}, a duration`, value: rule.ttl ?? "", placeholder: "1h", oninput: () => {
    rule.ttl = ttl.value.trim();
    save();
  } });
  return h("div", { class: "rule-part" }, h("span", { class: "rule-word" }, "then"), select, ["ttl", "both"].includes(mode) && ttl);
}
