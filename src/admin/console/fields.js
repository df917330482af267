// Labelled controls, bound to a path of a draft. Each knows how to show a problem at its own place.
import { h, replace, uid } from "./dom.js";
import { icon } from "./icons.js";
import { button } from "./parts.js";

/** The frame of a field: label, control, help, and a place for a problem. */
export function frame(draft, path, { label, help, key, isHidden }, control, { group = false, focus } = {}) {
  const id = control.id || uid("field");
  if (!group) control.id = id;
  const [helpId, problemId] = [uid("help"), uid("problem")];
  const problem = h("p", { class: "field-problem", id: problemId, hidden: true });
  const target = group ? null : control;
  const element = h(
    group ? "fieldset" : "div",
    { class: "field", "aria-describedby": group ? `${helpId} ${problemId}` : null },
    h(group ? "legend" : "label", group ? { class: isHidden ? "visually-hidden" : "field-label" } : { class: "field-label", for: id }, label, key && h("code", { class: "key" }, key)),
    control,
    help && h("p", { class: "help", id: helpId }, help),
    problem,
  );
  target?.setAttribute("aria-describedby", help ? `${helpId} ${problemId}` : problemId);
  draft?.fields.set(path, {
    clear() {
      problem.hidden = true;
      target?.removeAttribute("aria-invalid");
      element.classList.remove("invalid");
    },
    fail({ what, hint, line }) {
      replace(problem, icon("warning"), h("span", {}, [what, hint && `; ${hint}`, line ? ` (line ${line})` : ""]));
      problem.hidden = false;
      target?.setAttribute("aria-invalid", "true");
      element.classList.add("invalid");
    },
    failed: () => !problem.hidden,
    focus: () => (focus?.() ?? target ?? element.querySelector("input, select, button"))?.focus(),
  });
  return element;
}

function hint(draft, path, given) {
  const fallback = draft.fallback(path);
  if (given) return given;
  return fallback === undefined || fallback === null || fallback === "" || typeof fallback === "object" ? null : String(fallback);
}

/** One line of text. */
export function text(draft, path, words) {
  const input = h("input", {
    class: `input ${words.mono ? "mono" : ""}`, type: "text", name: path, autocomplete: "off", spellcheck: "false", autocapitalize: "off",
    placeholder: hint(draft, path, words.placeholder), value: draft.read(path) ?? "",
    oninput: () => draft.write(path, input.value.trim()),
  });
  return frame(draft, path, words, input);
}

/** A whole number. */
export function number(draft, path, words) {
  const input = h("input", {
    class: "input short", type: "number", name: path, min: words.min ?? 0, max: words.max, step: 1, inputmode: "numeric",
    placeholder: hint(draft, path, words.placeholder), value: draft.read(path) ?? "",
    oninput: () => draft.write(path, input.value === "" ? null : Number(input.value)),
  });
  return frame(draft, path, words, input);
}

/** One of a few; `options`: [[value, text]]. "" stands for the default. */
export function choice(draft, path, words, options) {
  const present = draft.read(path) ?? "";
  const select = h(
    "select",
    { class: "input", name: path, onchange: () => draft.write(path, select.value) },
    options.map(([value, label]) => h("option", { value, selected: value === present }, label)),
  );
  return frame(draft, path, words, select);
}

/** On or off. */
export function toggle(draft, path, words, { onchange } = {}) {
  const id = uid("field");
  const isOn = draft.read(path) ?? draft.fallback(path) ?? false;
  const input = h("input", {
    type: "checkbox", role: "switch", id, class: "switch", name: path, checked: isOn === true,
    onchange: () => {
      const value = input.checked === (draft.fallback(path) ?? false) && draft.before?.[path] === undefined ? null : input.checked;
      draft.write(path, value === null ? null : input.checked);
      onchange?.(input.checked);
    },
  });
  return h("div", { class: "field toggle" }, input, h("div", {}, h("label", { for: id, class: "field-label" }, words.label, words.key && h("code", { class: "key" }, words.key)), words.help && h("p", { class: "help" }, words.help)));
}

/** Choices side by side; `options`: [[value, title, note]]. */
export function segments(name, label, options, present, onchange, { hidden = false } = {}) {
  return h(
    "fieldset",
    { class: "segments-set" },
    h("legend", { class: hidden ? "visually-hidden" : "field-label" }, label),
    h(
      "div",
      { class: "segments" },
      options.map(([value, title, note]) => {
        const id = uid("segment");
        return h(
          "label",
          { class: "segment", for: id },
          h("input", { type: "radio", id, name, value, checked: value === present, onchange: () => onchange(value) }),
          h("span", { class: "segment-title" }, title),
          note && h("span", { class: "segment-note" }, note),
        );
      }),
    ),
  );
}

/** A list of texts: chips, and a line to add one. */
export function list(draft, path, words) {
  const items = () => draft.read(path) ?? [];
  const chips = h("ul", { class: "chips" });
  const input = h("input", {
    class: "input", type: "text", name: path, placeholder: words.placeholder, autocomplete: "off", spellcheck: "false", autocapitalize: "off",
    onkeydown: (event) => {
      if (event.key === "Enter") {
        event.preventDefault();
        add();
      }
    },
    onchange: () => add(),
  });
  const add = () => {
    const added = input.value.split(/[\s,]+/).filter((item) => item && !items().includes(item));
    input.value = "";
    if (added.length) draft.write(path, [...items(), ...added]);
    show();
  };
  const remove = (item) => {
    draft.write(path, items().filter((other) => other !== item));
    show();
    input.focus();
  };
  const show = () => {
    replace(
      chips,
      items().map((item) =>
        h("li", { class: "chip" }, h("span", { class: "mono" }, item), h("button", { type: "button", "aria-label": `Remove ${item}`, onclick: () => remove(item) }, icon("close"))),
      ),
    );
    chips.hidden = items().length === 0;
  };
  show();
  const id = uid("field");
  input.id = id;
  const row = h("div", { class: "list-row" }, input, button("Add", add, { iconName: "plus" }));
  const control = h("div", { class: "list-control" }, chips, row);
  const element = frame(draft, path, { ...words, label: words.label }, control, { group: true, focus: () => input });
  input.setAttribute("aria-label", words.label);
  return element;
}

/** A table of names and values, such as statuses and durations. */
export function pairs(draft, path, words, [nameLabel, valueLabel, namePlaceholder, valuePlaceholder]) {
  const rows = Object.entries(draft.read(path) ?? {}).map(([name, value]) => ({ name, value: String(value) }));
  const box = h("div", { class: "pairs" });
  const save = () => draft.write(path, orNull(Object.fromEntries(rows.filter((row) => row.name && row.value !== "").map((row) => [row.name, row.value]))));
  const cell = (row, part, label, placeholder) =>
    h("input", { class: "input", type: "text", "aria-label": label, placeholder, value: row[part], autocomplete: "off", spellcheck: "false", oninput: (event) => {
      row[part] = event.target.value.trim();
      save();
    } });
  const show = () =>
    replace(
      box,
      rows.map((row, index) =>
        h("div", { class: "pair" }, cell(row, "name", `${nameLabel} ${index + 1}`, namePlaceholder), cell(row, "value", `${valueLabel} ${index + 1}`, valuePlaceholder), button("", () => {
          rows.splice(index, 1);
          save();
          show();
        }, { kind: "quiet", iconName: "trash", label: `Remove ${row.name || "this line"}` })),
      ),
      button(words.add ?? "Add a line", () => {
        rows.push({ name: "", value: "" });
        show();
        box.querySelector(".pair:last-of-type input")?.focus();
      }, { kind: "quiet", iconName: "plus" }),
    );
  show();
  return frame(draft, path, words, box, { group: true });
}

function orNull(table) {
  return Object.keys(table).length ? table : null;
}
