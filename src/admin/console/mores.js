// Folded sections: what most sites leave as it is, with a word on how much of it is set.
import { h, replace } from "./dom.js";
import { plural } from "./format.js";

/** `sections`: [{ title, note, paths, content }]; `paths` are the settings in it. */
export function mores(draft, sections) {
  const tells = [];
  const element = h("div", { class: "card mores" }, sections.map(({ title, note, paths, content }) => {
    const state = h("span", { class: "more-state" });
    tells.push(() => {
      const count = draft.countSet(paths);
      state.classList.toggle("is-set", count > 0);
      replace(state, count > 0 ? plural(count, "setting") : "defaults");
    });
    return h("details", { class: "more", "data-more": paths[0] }, h("summary", {}, h("div", { class: "more-title" }, h("h2", {}, title), h("p", { class: "note" }, note)), state), h("div", { class: "card-body" }, content));
  }));
  const tell = () => tells.forEach((one) => one());
  draft.listeners.add(tell);
  tell();
  return element;
}
