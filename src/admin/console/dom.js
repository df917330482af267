// Elements without markup: every text goes in as a text node, so nothing that a server says can become an element.

const SVG = "http://www.w3.org/2000/svg";

/** An element with properties (`class`, `onclick`, attributes) and children; null, false and "" children are left out. */
export function h(tag, props, ...children) {
  return fill(document.createElement(tag), props, children);
}

/** The same in the SVG namespace. */
export function s(tag, props, ...children) {
  return fill(document.createElementNS(SVG, tag), props, children);
}

function fill(element, props, children) {
  for (const [name, value] of Object.entries(props ?? {})) set(element, name, value);
  append(element, children);
  return element;
}

function set(element, name, value) {
  if (value === null || value === undefined || value === false) return;
  if (name.startsWith("on") && typeof value === "function") element.addEventListener(name.slice(2), value);
  else if (name === "class") element.setAttribute("class", value);
  else if (name === "value" || name === "checked" || name === "disabled" || name === "open") element[name] = value;
  else element.setAttribute(name, value === true ? "" : String(value));
}

/** Adds children: elements, texts, lists of them. */
export function append(element, children) {
  for (const child of [children].flat(Infinity)) {
    if (child === null || child === undefined || child === false || child === "") continue;
    element.append(child instanceof Node ? child : String(child));
  }
  return element;
}

/** Puts children in the place of what is there; the focus stays with the control of the same `data-key`. */
export function replace(element, ...children) {
  const focused = element !== document.activeElement && element.contains(document.activeElement) ? document.activeElement.dataset?.key : null;
  element.replaceChildren();
  append(element, children);
  if (focused) element.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
  return element;
}

let lastId = 0;

/** An id that no other element of the page has. */
export function uid(word) {
  lastId += 1;
  return `${word}-${lastId}`;
}

/** Waits for a pause in calls. */
export function debounce(call, milliseconds) {
  let timer = 0;
  return (...args) => {
    clearTimeout(timer);
    timer = setTimeout(() => call(...args), milliseconds);
  };
}
