// Explain a URL: what becomes of a request, without sending anything.
import { call } from "./api.js";
import { fieldsOf } from "./form_prefetch.js";
import { h, replace } from "./dom.js";
import { bytesText, durationText, humane } from "./format.js";
import { busy, button, card, empty, facts, link, notice, pageHead } from "./parts.js";

export function show(context) {
  context.title("Explain a URL");
  const result = h("div", { class: "stack", "aria-live": "polite" }, card(null, {}, empty("explain", "Nothing asked yet", "Enter a URL of yours: you see the site and rules that hold, the cache key, the lifetime, the origin with Host and SNI, and what is stored.")));
  const url = h("input", { class: "input mono", id: "explain-url", name: "url", type: "text", required: true, placeholder: "https://www.example.com/img/logo.png", value: context.query.get("url") ?? "", autocomplete: "off", spellcheck: "false", autocapitalize: "off" });
  const method = h("select", { class: "input", id: "explain-method" }, ["GET", "HEAD"].map((value) => h("option", { value }, value)));
  const status = h("input", { class: "input short", id: "explain-status", type: "number", min: 200, max: 599, placeholder: "200" });
  const headers = h("textarea", { class: "input mono", id: "explain-headers", rows: 2, spellcheck: "false", placeholder: "Cookie: session=1" });
  const answer = h("textarea", { class: "input mono", id: "explain-answer", rows: 2, spellcheck: "false", placeholder: "Cache-Control: max-age=60" });
  const submit = button("Explain", null, { kind: "primary", type: "submit", iconName: "explain", key: "explain" });
  const run = async () => {
    if (!url.value.trim()) {
      url.focus();
      return;
    }
    history.replaceState(null, "", `#/explain?url=${encodeURIComponent(url.value.trim())}`);
    try {
      const { body } = await call("POST", "/explain", { body: { url: url.value.trim(), method: method.value, headers: fieldsOf(headers), response_headers: fieldsOf(answer), status: status.value === "" ? null : Number(status.value) }, signal: context.signal });
      replace(result, explanation(body));
    } catch (error) {
      if (error.name !== "AbortError") replace(result, notice(error.status === 404 || error.status === 422 ? "warn" : "bad", error.title || "This cannot be explained", h("p", {}, error.message)));
    }
  };
  const field = (label, control, help) => h("div", { class: "field" }, h("label", { for: control.id, class: "field-label" }, label), control, help && h("p", { class: "help" }, help));
  replace(
    context.main,
    pageHead("Explain a URL", "What becomes of a request under the present settings. Nothing is sent."),
    h("form", { class: "card ask-row", onsubmit: (event) => {
      event.preventDefault();
      busy(submit, run);
    } }, h("label", { for: "explain-url", class: "field-label" }, "URL"), h("div", { class: "list-row" }, url, submit), h("details", { class: "inner" }, h("summary", {}, "Method, headers, the origin's answer"), h("div", { class: "fields" }, field("Method", method), field("Status of the origin", status), field("Request headers", headers, "One a line: “Name: value”."), field("Headers of the origin's answer", answer, "What the origin would send.")))),
    result,
  );
  if (url.value) busy(submit, run);
}

/** What the first card says already. */
const TOLD = ["site", "key", "origin", "host", "sni", "rules"];

function explanation(body) {
  const lines = (body.lines ?? []).filter((line) => line.detail || !TOLD.includes(line.label.toLowerCase()));
  return [
    card("The way of the request", {}, facts([
      ["Site", body.site && link(body.site, `#/domains/${encodeURIComponent(body.site)}`)],
      ["Cache key", body.key && h("code", {}, body.key)],
      ["Origin", originOf(body.origin)],
      ["Host sent", body.host && h("code", {}, body.host)],
      ["SNI sent", body.sni ? h("code", {}, body.sni) : "none: plain HTTP"],
      body.accepted_names?.length > 0 && ["Names accepted", h("ul", { class: "name-list" }, body.accepted_names.map((name) => h("li", {}, h("code", {}, name))))],
    ], "wide")),
    body.rules?.length > 0 && card("Rules that hold", {}, h("ul", { class: "bullets" }, body.rules.map((rule) => h("li", {}, humane(rule))))),
    card("In the store", {}, stored(body.stored)),
    lines.length > 0 && card("In detail", {}, facts(lines.map((line) => [line.label, [humane(line.value), line.detail && h("span", { class: "note block" }, humane(line.detail))]]), "wide")),
    body.text && h("details", { class: "card more" }, h("summary", {}, h("h2", {}, "As millpond explain says it")), h("div", { class: "card-body" }, h("pre", { class: "paper", tabindex: 0, "aria-label": "Text of millpond explain" }, body.text))),
  ];
}

function originOf(origin) {
  if (!origin) return null;
  return h("ul", { class: "name-list" }, [origin].flat().map((one) => h("li", {}, h("code", {}, typeof one === "string" ? one : JSON.stringify(one)))));
}

function stored(stored) {
  if (stored === null || stored === undefined) return h("p", {}, "Nothing is stored for it; the next request is fetched from the origin.");
  if (typeof stored !== "object") return h("p", {}, String(stored));
  const show = (key, value) => {
    if (value === null || value === undefined) return "–";
    if (key.endsWith("_seconds")) return durationText(value);
    if (key === "bytes") return bytesText(value);
    if (typeof value === "boolean") return value ? "yes" : "no";
    return typeof value === "object" ? h("code", {}, JSON.stringify(value)) : String(value);
  };
  return facts(Object.entries(stored).map(([key, value]) => [key.replace(/_seconds$/, "").replaceAll("_", " "), show(key, value)]));
}
