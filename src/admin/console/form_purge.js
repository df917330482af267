// The form of a purge: what, how hard, and how many it would take.
import { call, read } from "./api.js";
import { h, replace } from "./dom.js";
import { segments } from "./fields.js";
import { countText, millisText, plural } from "./format.js";
import { busy, button, card, confirm, link, notice } from "./parts.js";

const SCOPES = {
  url: ["URL", "https://www.example.com/logo.png", "This address, in all its variants."],
  prefix: ["Directory", "https://www.example.com/img/", "Everything below this address."],
  glob: ["Pattern", "https://www.example.com/**.css", "* within a segment, ** across."],
  site: ["Site", "", "Everything of one site."],
  group: ["Cache group", "product-42", "Responses of that scheme and host that name this group (RFC 9875)."],
  everything: ["Everything", "", "All that is stored, of all sites."],
};

export function purgeForm(context) {
  const state = { scope: "url", mode: "hard", sites: [] };
  const result = h("div", { "aria-live": "polite" });
  const what = h("div", { class: "stack small" });
  const value = h("input", { class: "input mono", type: "text", id: "purge-value", name: "value", autocomplete: "off", spellcheck: "false", autocapitalize: "off", "aria-describedby": "purge-help", required: true });
  const site = h("select", { class: "input", id: "purge-site", name: "site" });
  const origin = h("input", { class: "input mono", type: "text", id: "purge-origin", name: "origin", placeholder: "https://www.example.com", autocomplete: "off", spellcheck: "false", autocapitalize: "off" });
  const then = h("input", { type: "checkbox", id: "purge-then", name: "then_prefetch" });
  const scope = h("select", { class: "input", id: "purge-scope", name: "scope", onchange: () => {
    state.scope = scope.value;
    draw();
  } }, Object.entries(SCOPES).map(([key, [title]]) => h("option", { value: key }, title)));
  const draw = () => {
    const [title, placeholder, help] = SCOPES[state.scope];
    value.placeholder = placeholder;
    replace(
      what,
      !["site", "everything"].includes(state.scope) && h("div", { class: "field" }, h("label", { for: "purge-value", class: "field-label" }, title), value),
      state.scope === "group" && h("div", { class: "field" }, h("label", { for: "purge-origin", class: "field-label" }, "Scheme and host"), origin),
      state.scope === "site" && h("div", { class: "field" }, h("label", { for: "purge-site", class: "field-label" }, "Site"), site),
      h("p", { class: "help", id: "purge-help" }, help),
    );
  };
  const submit = button("Purge", null, { kind: "primary", type: "submit", iconName: "purge", key: "purge" });
  const only = button("Count only", () => busy(only, () => send("count")), { key: "count" });
  const send = async (mode) => {
    const isAll = state.scope === "everything";
    if (state.scope !== "site" && !isAll && !value.value.trim()) {
      value.focus();
      replace(result, notice("info", "Say what to purge first"));
      return;
    }
    if (isAll && mode !== "count" && !(await confirm("Purge everything?", "Every stored response of every site is taken out of use. Origins will be asked for all of it again.", "Purge everything"))) return;
    const started = performance.now();
    try {
      const given = state.scope === "site" ? site.value : isAll ? null : value.value.trim();
      const { body } = await call("POST", "/purge", { body: { scope: state.scope, value: given, site: state.scope === "group" ? origin.value.trim() : null, mode, then_prefetch: mode !== "count" && then.checked }, signal: context.signal });
      replace(result, told(body, mode, body.milliseconds ?? performance.now() - started));
    } catch (error) {
      if (error.name !== "AbortError") replace(result, notice("bad", error.title || "The purge was refused", h("p", {}, error.message)));
    }
  };
  draw();
  read("/sites", context.signal).then(({ items }) => replace(site, items.map((row) => h("option", { value: row.name }, row.name))), () => undefined);
  return card(
    "Purge",
    {},
    h(
      "form",
      { class: "stack small", novalidate: true, onsubmit: (event) => {
        event.preventDefault();
        busy(submit, () => send(state.mode));
      } },
      h("div", { class: "field" }, h("label", { for: "purge-scope", class: "field-label" }, "What"), scope),
      what,
      segments("purge.mode", "How", [["hard", "Hard", "removed"], ["soft", "Soft", "stale: validated at the next use"]], "hard", (mode) => (state.mode = mode)),
      h("div", { class: "check-line" }, then, h("label", { for: "purge-then" }, "Prefetch the same again")),
      result,
      h("div", { class: "actions" }, submit, only),
    ),
  );
}

function told({ count, prefetch_task: task, prefetch_error: error }, mode, milliseconds) {
  const words = { hard: `${plural(count, "stored response")} removed`, soft: `${plural(count, "stored response")} made stale`, count: `${plural(count, "stored response")} would be taken` }[mode];
  return notice(mode === "count" ? "info" : "good", words, h("p", { title: countText(count) }, mode === "count" ? "Nothing was changed." : `It is in force, after ${millisText(milliseconds)}.`), task && h("p", {}, link("See the prefetch", `#/tasks/task/${encodeURIComponent(task)}`)), error && h("p", {}, `No prefetch was begun: ${error}`));
}
