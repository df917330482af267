// The pieces that pages are made of: cards, states, tables, dialogs, notices.
import { append, h, replace, uid } from "./dom.js";
import { icon } from "./icons.js";

/** A button; `kind` is primary, plain, quiet or danger. */
export function button(text, onclick, { kind = "plain", iconName, label, key, type = "button", disabled = false } = {}) {
  return h(
    "button",
    { class: `button ${kind} ${text ? "" : "icon-only"}`, type, onclick, "aria-label": label, title: text ? null : label, "data-key": key, disabled },
    iconName && icon(iconName),
    text && h("span", {}, text),
  );
}

export function link(text, href, { kind, iconName, key, label } = {}) {
  return h(
    "a",
    { href, class: kind ? `button ${kind}` : null, "data-key": key, "aria-label": label },
    iconName && icon(iconName),
    kind ? h("span", {}, text) : text,
  );
}

/** Runs a slow action from a button: shows that it runs, refuses a second press. */
export async function busy(element, action) {
  if (element.getAttribute("aria-busy") === "true") return undefined;
  element.setAttribute("aria-busy", "true");
  element.setAttribute("aria-disabled", "true");
  try {
    return await action();
  } finally {
    element.removeAttribute("aria-busy");
    element.removeAttribute("aria-disabled");
  }
}

/** A titled section on its own surface. */
export function card(title, { actions, note, id, level = "h2", flush = false } = {}, ...children) {
  const heading = title ? uid("card") : null;
  return h(
    "section",
    { class: `card ${flush ? "flush" : ""}`, "aria-labelledby": heading, id },
    title &&
      h(
        "div",
        { class: "card-head" },
        h("div", {}, h(level, { id: heading }, title), note && h("p", { class: "note" }, note)),
        actions && h("div", { class: "actions" }, actions),
      ),
    h("div", { class: "card-body" }, children),
  );
}

const MARKS = { good: "check", bad: "cross", warn: "warning", info: "info", idle: "dash", run: "wait" };

/** A state as mark and word: never by colour alone. */
export function badge(kind, text, title) {
  return h("span", { class: `badge ${kind}`, title }, icon(MARKS[kind] ?? "info"), h("span", {}, text));
}

/** The mark alone, with words for screen readers. */
export function mark(kind, words) {
  return h("span", { class: `mark ${kind}`, title: words }, icon(MARKS[kind] ?? "info"), h("span", { class: "visually-hidden" }, words));
}

/** A message within a page; `kind` is info, good, warn or bad. */
export function notice(kind, title, ...children) {
  return h(
    "div",
    { class: `notice ${kind}`, role: kind === "bad" ? "alert" : null },
    icon(MARKS[kind] ?? "info"),
    h("div", { class: "notice-body" }, title && h("p", { class: "notice-title" }, title), children),
  );
}

/** What a list shows that has nothing in it. */
export function empty(iconName, title, text, ...actions) {
  return h(
    "div",
    { class: "empty" },
    h("div", { class: "empty-mark" }, icon(iconName)),
    h("p", { class: "empty-title" }, title),
    h("p", {}, text),
    actions.length > 0 && h("div", { class: "actions" }, actions),
  );
}

/** What stands in the place of an answer that did not come. */
export function failed(error, again) {
  return notice(
    "bad",
    error.title || "This could not be read",
    h("p", {}, error.message),
    again && h("div", { class: "actions" }, button("Try again", again, { iconName: "refresh", key: "retry" })),
  );
}

/** Grey lines while an answer is awaited. */
export function skeleton(lines = 4) {
  return h(
    "div",
    { class: "skeleton", role: "status" },
    h("span", { class: "visually-hidden" }, "Loading"),
    Array.from({ length: lines }, () => h("span", { class: "bone" })),
  );
}

/** A table that becomes a list of cards where it is narrow. `columns`: [{ title, cell(row), kind }]. */
export function table(label, columns, rows, { rowKey } = {}) {
  const wrap = h(
    "div",
    { class: "table-wrap", role: "region", "aria-label": label },
    h(
      "table",
      { class: "table" },
      h("caption", { class: "visually-hidden" }, label),
      h("thead", {}, h("tr", {}, columns.map((column) => h("th", { scope: "col", class: column.kind }, column.title)))),
      h(
        "tbody",
        {},
        rows.map((row) =>
          h(
            "tr",
            { "data-row": rowKey?.(row) },
            columns.map((column, index) =>
              h(index === 0 ? "th" : "td", { scope: index === 0 ? "row" : null, class: column.kind, "data-title": column.title }, column.cell(row)),
            ),
          ),
        ),
      ),
    ),
  );
  sizes.observe(wrap);
  return wrap;
}

const NARROW = matchMedia("(max-width: 47.99rem)");

/** Rows become cards where the table would not fit beside its own columns. */
const sizes = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    if (!target.isConnected) {
      sizes.unobserve(target);
      continue;
    }
    target.classList.remove("stacked");
    target.classList.toggle("stacked", NARROW.matches || target.scrollWidth > target.clientWidth + 1);
  }
});

/** A bar from 0 to 1; `bad` is the part of it that failed. */
export function progress(share, label, { kind = "", bad = 0 } = {}) {
  const [good, failed] = [h("span", { class: "bar-fill" }), bad > 0 && h("span", { class: "bar-failed" })];
  good.style.width = percent(share - bad);
  if (failed) failed.style.width = `max(3px, ${percent(bad)})`;
  const now = Math.round((share || 0) * 100);
  return h("div", { class: `bar ${kind}`, role: "progressbar", "aria-label": label, "aria-valuemin": 0, "aria-valuemax": 100, "aria-valuenow": now }, good, failed);
}

function percent(share) {
  return `${Math.round(Math.max(0, Math.min(1, share || 0)) * 1000) / 10}%`;
}

/** Terms and their values. */
export function facts(pairs, extra = "") {
  return h(
    "dl",
    { class: `facts ${extra}` },
    pairs.filter(Boolean).map(([term, value]) => h("div", {}, h("dt", {}, term), h("dd", {}, value ?? "–"))),
  );
}

/** A few words that come and go at the edge of the page. */
export function toast(text, kind = "good") {
  const box = document.getElementById("toasts");
  const item = h("div", { class: `toast ${kind}` }, icon(MARKS[kind]), h("span", {}, text));
  const close = h("button", { class: "toast-close", type: "button", "aria-label": "Dismiss", onclick: () => item.remove() }, icon("close"));
  item.append(close);
  box.append(item);
  while (box.children.length > 4) box.firstChild.remove();
  setTimeout(() => item.remove(), kind === "bad" ? 15_000 : 6_000);
}

/** A modal dialog. `build(close)` returns body and buttons; resolves with what `close` was given. Focus returns. */
export function dialog(title, build, { wide = false, fixed = false } = {}) {
  return new Promise((resolve) => {
    const before = document.activeElement;
    const heading = uid("dialog");
    let result;
    const element = h("dialog", { class: `dialog ${wide ? "wide" : ""}`, "aria-labelledby": heading });
    const close = (value) => {
      result = value;
      element.close();
    };
    const { body, buttons } = build(close);
    append(element, [
      h(
        "div",
        { class: "dialog-head" },
        h("h2", { id: heading, tabindex: -1 }, title),
        !fixed && button("", () => close(undefined), { kind: "quiet", iconName: "close", label: "Close" }),
      ),
      h("div", { class: "dialog-body", tabindex: 0, role: "group", "aria-labelledby": heading }, body),
      buttons && h("div", { class: "dialog-foot" }, buttons),
    ]);
    if (fixed) element.addEventListener("cancel", (event) => event.preventDefault());
    element.addEventListener("close", () => {
      element.remove();
      if (before?.isConnected) before.focus();
      resolve(result);
    });
    document.body.append(element);
    element.showModal();
    (element.querySelector(".dialog-body input:not([hidden])") ?? element.querySelector("h2")).focus();
  });
}

/** Asks before something that cannot be undone; resolves with true or undefined. */
export function confirm(title, text, yes, kind = "danger") {
  return dialog(title, (close) => ({
    body: h("p", {}, text),
    buttons: [button("Cancel", () => close(undefined)), button(yes, () => close(true), { kind, key: "confirm" })],
  }));
}

/** Links side by side, of which one is the present page. */
export function tabs(label, items, current) {
  return h(
    "nav",
    { class: "tabs", "aria-label": label },
    items.map(([key, text, href]) => h("a", { href, "aria-current": key === current ? "page" : null, "data-key": `tab-${key}` }, text)),
  );
}

/** The head of a page. */
export function pageHead(title, note, actions, above) {
  return h(
    "header",
    { class: "page-head" },
    h("div", { class: "page-title" }, above, h("h1", { tabindex: -1 }, title), note && h("p", { class: "note" }, note)),
    actions && h("div", { class: "actions" }, actions),
  );
}

/** Fills a box with what `load` brings, with states for waiting and failing; returns a function that loads anew. */
export function loaded(box, load, show, lines = 4) {
  const again = async () => {
    if (!box.hasChildNodes() || box.querySelector(".notice.bad")) replace(box, skeleton(lines));
    try {
      replace(box, show(await load()));
    } catch (error) {
      if (error.name !== "AbortError") replace(box, failed(error, again));
    }
  };
  again();
  return again;
}

/** Shows a failure in the place of a page's content; leaving a page is none. */
export function showFailure(box, error, again) {
  if (error.name !== "AbortError") replace(box, failed(error, again));
}
