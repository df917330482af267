// Small charts: areas over time in SVG, with a reading for pointer, keyboard and screen reader; and bars with words.
import { h, replace, s, uid } from "./dom.js";

const WIDTH = 600;
const HEIGHT = 150;
const CLOCK = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });

/**
 * An area chart. `series`: [{ key, name, tone }], drawn in this order; `show` turns a value into words.
 * Returns `{ element, update(times, values) }`, where `values` maps keys to lists as long as `times`.
 */
export function timeChart(label, series, show) {
  const id = uid("chart");
  const plot = s("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true", focusable: "false" });
  const cursor = h("div", { class: "chart-cursor", hidden: true });
  const top = h("span", { class: "chart-top" });
  const reading = h("p", { class: "chart-reading", id, "aria-live": "off" });
  const [from, until] = [h("span"), h("span")];
  const area = h("div", { class: "chart-plot", tabindex: 0, role: "img", "aria-label": label, "aria-describedby": id }, plot, cursor, top);
  const state = { times: [], values: {}, index: null };

  const read = () => {
    const index = state.index ?? state.times.length - 1;
    if (index < 0) return;
    const at = state.index === null ? "now" : CLOCK.format(new Date(state.times[index]));
    replace(
      reading,
      h("span", { class: "chart-at" }, at),
      series.map((one) => h("span", { class: `key-${one.tone}` }, h("i", { class: `swatch ${one.tone}` }), `${one.name} `, h("b", {}, show(state.values[one.key]?.[index] ?? 0)))),
    );
    cursor.hidden = state.index === null;
    cursor.style.left = `${(index / Math.max(1, state.times.length - 1)) * 100}%`;
  };
  const point = (index) => {
    state.index = index === null ? null : Math.max(0, Math.min(state.times.length - 1, index));
    read();
  };
  area.addEventListener("pointermove", (event) => {
    const box = area.getBoundingClientRect();
    point(Math.round(((event.clientX - box.left) / box.width) * (state.times.length - 1)));
  });
  area.addEventListener("pointerleave", () => point(null));
  area.addEventListener("blur", () => point(null));
  area.addEventListener("focus", () => reading.setAttribute("aria-live", "polite"));
  area.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1, Home: -1e6, End: 1e6 }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    point((state.index ?? state.times.length - 1) + step);
  });

  const update = (times, values) => {
    Object.assign(state, { times, values });
    const peak = niceTop(Math.max(1, ...series.flatMap((one) => values[one.key] ?? [])));
    top.textContent = show(peak);
    const grid = [0.25, 0.5, 0.75].map((part) => s("line", { x1: 0, x2: WIDTH, y1: HEIGHT * part, y2: HEIGHT * part, class: "chart-grid" }));
    replace(plot, grid, series.map((one) => shape(values[one.key] ?? [], peak, one.tone)));
    from.textContent = times.length ? CLOCK.format(new Date(times[0])) : "";
    until.textContent = times.length ? CLOCK.format(new Date(times.at(-1))) : "";
    read();
  };
  const element = h("figure", { class: "chart" }, reading, area, h("div", { class: "chart-axis", "aria-hidden": "true" }, from, until));
  return { element, update };
}

function shape(values, peak, tone) {
  if (values.length < 2) return [];
  const points = values.map((value, index) => [(index / (values.length - 1)) * WIDTH, HEIGHT - (value / peak) * (HEIGHT - 6)]);
  const line = points.map(([x, y], index) => `${index ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");
  return [
    s("path", { d: `${line}L${WIDTH} ${HEIGHT}L0 ${HEIGHT}Z`, class: `chart-area ${tone}` }),
    s("path", { d: line, class: `chart-line ${tone}`, "vector-effect": "non-scaling-stroke" }),
  ];
}

/** The next of 1, 2, 5, 10, 20, … */
function niceTop(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= value) ?? value;
}

/** Bars beside each other with name and number; `rows`: [{ name, value, words, tone }]. */
export function bars(label, rows) {
  const most = Math.max(1, ...rows.map((row) => row.value));
  return h(
    "ul",
    { class: "bars", "aria-label": label },
    rows.map((row) => {
      const fill = h("span", { class: `bars-fill ${row.tone ?? ""}` });
      fill.style.width = `${(row.value / most) * 100}%`;
      return h("li", {}, h("span", { class: "bars-name" }, row.name), h("span", { class: "bars-value" }, row.words), h("span", { class: "bars-track", "aria-hidden": "true" }, fill));
    }),
  );
}

/** A ring that shows a share. */
export function ring(share) {
  const around = 2 * Math.PI * 20;
  const arc = s("circle", { cx: 24, cy: 24, r: 20, class: "ring-arc", "stroke-dasharray": `${(share || 0) * around} ${around}`, transform: "rotate(-90 24 24)" });
  return s("svg", { class: "ring", viewBox: "0 0 48 48", "aria-hidden": "true" }, s("circle", { cx: 24, cy: 24, r: 20, class: "ring-track" }), arc);
}
