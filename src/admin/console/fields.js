// Labelled controls, bound to a path of a draft. Each knows how to show a problem at its own place.
import { append, h, replace, uid } from "./dom.js";
import { at } from "./form.js";
import { plain } from "./format.js";
import { icon } from "./icons.js";
import { button } from "./parts.js";

/**
 * The frame of a field: label, control, help, and a place for a problem. `focus()` says which control takes the focus,
 * `row(part)` which row a part of the key is about, such as "2", so that its problem is shown there too.
 */
export function frame(draft, path, { label, help, key, unit, isHidden, item }, control, { group = false, focus, row } = {}) {
  const id = control.id || uid("field");
  if (!group) control.id = id;
  const ids = { help: help && uid("help"), unit: unit && uid("unit"), problem: uid("problem") };
  const problem = h("div", { class: "field-problem", id: ids.problem, hidden: true });
  const described = [ids.unit, ids.help, ids.problem].filter(Boolean).join(" ");
  const target = group ? null : control;
  const element = h(
    group ? "fieldset" : "div",
    { class: "field", "aria-describedby": group ? described : null },
    h(group ? "legend" : "label", group ? { class: isHidden ? "visually-hidden" : "field-label" } : { class: "field-label", for: id }, label, key && h("code", { class: "key" }, key)),
    unit ? h("div", { class: "with-unit" }, control, h("span", { class: "unit", id: ids.unit }, unit)) : control,
    help && h("p", { class: "help", id: ids.help }, help),
    problem,
  );
  target?.setAttribute("aria-describedby", described);
  draft?.fields.set(path, problemPlace({ element, problem, target, item, row, focus }));
  return element;
}

/** What a field does with the problems that the server finds in it. */
function problemPlace({ element, problem, target, item, row, focus }) {
  let bad = null;
  return {
    clear() {
      bad = null;
      replace(problem);
      problem.hidden = true;
      target?.removeAttribute("aria-invalid");
      for (const one of [element, ...element.querySelectorAll(".invalid")]) one.classList.remove("invalid");
    },
    fail({ what, hint, within = [] }) {
      const where = place(within, item);
      problem.append(h("p", {}, icon("warning"), h("span", {}, where && h("b", {}, `${where}: `), plain(what), hint && `; ${plain(hint)}`)));
      problem.hidden = false;
      target?.setAttribute("aria-invalid", "true");
      const its = within.length ? row?.(within[0]) : null;
      (its ?? element).classList.add("invalid");
      bad ??= its;
      for (let closed = element.closest("details"); closed; closed = closed.parentElement.closest("details")) closed.open = true;
    },
    failed: () => !problem.hidden,
    focus: () => (bad?.querySelector("input, select, button") ?? focus?.() ?? target ?? element.querySelector("input, select, button"))?.focus(),
  };
}

/** `["2", "ttl"]` is “Rule 2, ttl”. */
function place(within, item) {
  return within.map((part, index) => (index === 0 && item && /^\d+$/.test(part) ? `${item} ${part}` : part)).join(", ");
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
    class: `input ${words.unit ? "" : "short"}`, type: "number", name: path, min: words.min ?? 0, max: words.max, step: 1, inputmode: "numeric",
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

/** On or off; what is the default is left out of the file, unless it stood there. */
export function toggle(draft, path, words, { onchange } = {}) {
  const fallback = () => draft.fallback(path) ?? false;
  const wasWritten = at(draft.before, path) !== undefined;
  const input = h("input", {
    type: "checkbox", role: "switch", class: "switch", name: path, checked: (draft.read(path) ?? fallback()) === true,
    onchange: () => {
      draft.write(path, !wasWritten && input.checked === fallback() ? null : input.checked);
      onchange?.(input.checked);
    },
  });
  const element = frame(draft, path, words, input);
  element.classList.add("toggle");
  return element;
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

/** A list of texts, or with `words.numbers` of whole numbers: chips, and a line to add some. `save` writes it elsewhere. */
export function list(draft, path, words, { save = (items) => draft.write(path, items) } = {}) {
  const items = () => draft.read(path) ?? [];
  const read = (word) => (words.numbers && /^\d{1,9}$/.test(word) ? Number(word) : word);
  const chips = h("ul", { class: "chips", "aria-label": words.label });
  const input = h("input", {
    class: `input ${words.mono ? "mono" : ""}`, type: "text", name: path, placeholder: words.placeholder, inputmode: words.numbers ? "numeric" : null, autocomplete: "off", spellcheck: "false", autocapitalize: "off", "aria-label": `Add to: ${words.label}`,
    onkeydown: (event) => {
      if (event.key === "Enter") {
        event.preventDefault();
        add();
      }
    },
    onchange: () => add(),
  });
  const add = () => {
    const added = input.value.split(/[\s,]+/).filter(Boolean).map(read).filter((item) => !items().includes(item));
    input.value = "";
    if (added.length) save([...items(), ...new Set(added)]);
    show();
  };
  const remove = (item) => {
    save(items().filter((other) => other !== item));
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
  const row = h("div", { class: "list-row" }, input, button("Add", add, { iconName: "plus" }));
  return frame(draft, path, words, h("div", { class: "list-control" }, chips, row), { group: true, focus: () => input, row: (part) => chips.children[part - 1] });
}

/** A list whose default is not the empty one: the default, none, or these. */
export function listOrDefault(draft, path, words, { standard, none }) {
  const box = h("div", { class: "stack small" });
  const present = () => (draft.read(path) === undefined ? "" : draft.read(path).length ? "these" : "none");
  const draw = (mode) => {
    const select = h("select", { class: "input", name: `${path}.mode`, "data-key": path, "aria-label": words.label, onchange: () => {
      if (select.value === "") draft.write(path, null);
      else draft.writeList(path, []);
      draw(select.value);
    } }, [["", `${standard} (default)`], ["none", none], ["these", "These:"]].map(([value, label]) => h("option", { value, selected: value === mode }, label)));
    replace(box, select, mode === "these" && list(draft, path, { ...words, key: null, help: null, isHidden: true }, { save: (items) => draft.writeList(path, items) }));
    draft.fields.set(path, outer);
  };
  const element = frame(draft, path, words, box, { group: true, focus: () => box.querySelector("input, select"), row: (part) => box.querySelectorAll(".chip")[part - 1] });
  const outer = draft.fields.get(path);
  draw(present());
  return element;
}

/**
 * Rows that can be added and removed. `row(item, index)` draws the fields of one; `save()` writes all; `find(part)` is
 * the index of the row that a part of a key is about.
 */
export function rows(draft, path, words, { items, fresh, row, save, find }) {
  const box = h("div", { class: "pairs" });
  const list = h("div", { class: "pair-list" });
  const change = (action, focus) => {
    action();
    save();
    draw();
    focus?.();
  };
  const adder = button(words.add ?? "Add a line", () => change(() => items.push(fresh()), () => list.querySelector(".pair:last-of-type input")?.focus()), { kind: "quiet flush", iconName: "plus" });
  const remove = (index) => change(() => items.splice(index, 1), () => (list.querySelectorAll(".pair")[Math.min(index, items.length - 1)]?.querySelector("input") ?? adder).focus());
  const move = (index) => change(() => items.splice(index - 1, 0, ...items.splice(index, 1)), () => list.querySelectorAll(".pair")[index - 1]?.querySelector("input")?.focus());
  const draw = () =>
    replace(
      list,
      items.map((item, index) =>
        h("div", { class: `pair ${words.ordered ? "ordered" : ""}`, role: "group", "aria-label": `${words.item ?? "Line"} ${index + 1}` }, row(item, index), words.ordered && button("", () => move(index), { kind: "quiet", iconName: "up", label: `Move ${words.item.toLowerCase()} ${index + 1} up`, disabled: index === 0 }), button("", () => remove(index), { kind: "quiet", iconName: "trash", label: `Remove ${(words.item ?? "line").toLowerCase()} ${index + 1}` })),
      ),
    );
  draw();
  append(box, [list, adder]);
  return frame(draft, path, words, box, { group: true, row: (part) => list.children[find(part)], focus: () => list.querySelector("input") ?? adder });
}

/** One cell of a row. */
export function cell(item, part, label, placeholder, save) {
  const input = h("input", { class: "input mono", type: "text", "aria-label": label, placeholder, value: item[part], autocomplete: "off", spellcheck: "false", autocapitalize: "off", oninput: () => {
    item[part] = input.value.trim();
    save();
  } });
  return input;
}

/** A table of names and values, such as statuses and durations. */
export function pairs(draft, path, words, [nameLabel, valueLabel, namePlaceholder, valuePlaceholder]) {
  const items = Object.entries(draft.read(path) ?? {}).map(([name, value]) => ({ name, value: String(value) }));
  const save = () => draft.write(path, orNull(Object.fromEntries(items.filter((one) => one.name && one.value !== "").map((one) => [one.name, one.value]))));
  const row = (one, index) => [cell(one, "name", `${nameLabel} ${index + 1}`, namePlaceholder, save), cell(one, "value", `${valueLabel} ${index + 1}`, valuePlaceholder, save)];
  return rows(draft, path, words, { items, fresh: () => ({ name: "", value: "" }), row, save, find: (part) => items.findIndex((one) => one.name === part) });
}

function orNull(table) {
  return Object.keys(table).length ? table : null;
}
