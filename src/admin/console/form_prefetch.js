// The form of a prefetch: URLs, a sitemap or a manifest, and how fast.
import { call } from "./api.js";
import { h, replace } from "./dom.js";
import { segments } from "./fields.js";
import { plural } from "./format.js";
import { busy, button, card, notice, toast } from "./parts.js";

export function prefetchForm(context, onSubmitted) {
  const state = { from: "urls" };
  const problem = h("div", { role: "alert" });
  const source = h("div");
  const field = (id, label, control, help) => {
    control.id = id;
    if (help) control.setAttribute("aria-describedby", `${id}-help`);
    return h("div", { class: "field" }, h("label", { for: id, class: "field-label" }, label), control, help && h("p", { class: "help", id: `${id}-help` }, help));
  };
  const urls = h("textarea", { class: "input mono", name: "urls", rows: 7, spellcheck: "false", autocapitalize: "off", placeholder: "https://www.example.com/\nhttps://www.example.com/app.js", oninput: () => tell() });
  const address = h("input", { class: "input mono", type: "url", name: "address", autocomplete: "off", placeholder: "https://www.example.com/sitemap.xml" });
  const told = h("p", { class: "help", "aria-live": "polite" });
  const tell = () => (told.textContent = lines(urls).length ? plural(lines(urls).length, "URL") : "");
  const draw = () => {
    if (state.from === "urls") replace(source, field("prefetch-urls", "URLs", urls, "One a line, each of a configured domain name."), told);
    else replace(source, field("prefetch-address", state.from === "sitemap" ? "Sitemap" : "Manifest (HLS or DASH)", address, state.from === "sitemap" ? "Every page that it lists is fetched." : "The manifest and all its segments are fetched."));
  };
  const rate = h("input", { class: "input short", type: "number", min: 1, step: 1, name: "rate", placeholder: "no limit" });
  const parallel = h("input", { class: "input short", type: "number", min: 1, max: 64, step: 1, name: "parallel", placeholder: "automatic" });
  const within = h("input", { class: "input short", type: "text", name: "window", placeholder: "01:00-06:00", pattern: "\\d\\d:\\d\\d-\\d\\d:\\d\\d", autocomplete: "off" });
  const headers = h("textarea", { class: "input mono", rows: 2, name: "headers", spellcheck: "false", placeholder: "Accept-Encoding: gzip" });
  const dry = h("input", { type: "checkbox", id: "prefetch-dry", name: "dry_run" });
  const submit = button("Start the prefetch", null, { kind: "primary", type: "submit", iconName: "tasks", key: "prefetch" });
  const send = async () => {
    replace(problem);
    try {
      const source = state.from === "urls" ? { urls: lines(urls) } : { [state.from]: address.value.trim() };
      const { body } = await call("POST", "/tasks", { body: { kind: "prefetch", ...source, headers: fieldsOf(headers), rate_per_second: numberOf(rate), parallel: numberOf(parallel), window: within.value.trim() || null, dry_run: dry.checked }, signal: context.signal });
      toast(body.total ? `Started: ${plural(body.total, "URL")}` : "Started");
      urls.value = "";
      tell();
      onSubmitted(body);
    } catch (error) {
      if (error.name !== "AbortError") replace(problem, notice("bad", error.title || "The prefetch was refused", h("p", {}, error.message), error.problems.length > 0 && h("ul", { class: "bullets" }, error.problems.map((one) => h("li", {}, [one.what, one.hint && `; ${one.hint}`])))));
    }
  };
  draw();
  return card(
    "Prefetch",
    {},
    h(
      "form",
      { class: "stack small", onsubmit: (event) => {
        event.preventDefault();
        busy(submit, send);
      } },
      segments("prefetch.from", "From", [["urls", "URLs"], ["sitemap", "Sitemap"], ["manifest", "Manifest"]], "urls", (value) => {
        state.from = value;
        draw();
      }),
      source,
      h("details", { class: "inner" }, h("summary", {}, "Pace and variants"), h("div", { class: "fields" }, field("prefetch-rate", "URLs a second", rate), field("prefetch-parallel", "At once, per origin", parallel), field("prefetch-window", "Only between", within, "Hours of this machine's clock."), h("div", { class: "span" }, field("prefetch-headers", "Request headers", headers, "One a line, for variants: “Name: value”.")))),
      h("div", { class: "check-line" }, dry, h("label", { for: "prefetch-dry" }, "Dry run: list what would be fetched, fetch nothing")),
      problem,
      h("div", { class: "actions" }, submit),
    ),
  );
}

function lines(area) {
  return area.value.split(/\s+/).filter(Boolean);
}

function numberOf(input) {
  return input.value === "" ? null : Number(input.value);
}

/** `Name: value` lines as pairs. */
export function fieldsOf(area) {
  return area.value.split("\n").map((line) => line.trim()).filter(Boolean).map((line) => {
    const colon = line.indexOf(":");
    return colon > 0 ? [line.slice(0, colon).trim(), line.slice(colon + 1).trim()] : [line, ""];
  });
}
