// How a change is applied: its diff first, then the rehearsal's result, then a decision. All changes go this way.
import { h, replace } from "./dom.js";
import { plain, plural } from "./format.js";
import { badge, busy, button, dialog, failed, mark, notice, skeleton, toast } from "./parts.js";

/**
 * Asks `send({ dryRun, rehearse, force })` for the change and shows what it would do. Resolves with the applied CHANGE,
 * or undefined. `onProblems(problems)` gets what is wrong with the configuration (422) and says what no field shows;
 * `renew()` reads the newer settings after a conflict (412) and returns false to give the change up.
 */
export async function review({ title, send, onProblems, renew, verb = "Apply the change", kind = "primary" }) {
  let plan;
  try {
    plan = await send({ dryRun: true, rehearse: false });
  } catch (error) {
    return refused(error, { title, send, onProblems, renew, verb, kind });
  }
  if (plan.diff.length === 0) {
    toast("Nothing would change", "info");
    return undefined;
  }
  const outcome = await dialog(title, (close) => proposal(plan, { send, verb, kind, close }), { wide: true });
  if (outcome instanceof Error) return refused(outcome, { title, send, onProblems, renew, verb, kind });
  return outcome;
}

async function refused(error, again) {
  if (error.name === "AbortError") return undefined;
  if (error.status === 422 && again.onProblems) {
    const rest = again.onProblems(error.problems);
    if (error.problems.length === 0 || rest.length > 0) await problems(error, rest);
    else toast("Some settings are not valid yet; see the marked fields", "bad");
    return undefined;
  }
  if (error.status === 412) {
    const choice = await conflict();
    if (choice && (await again.renew?.(choice)) !== false && choice === "keep") return review(again);
    return undefined;
  }
  await problems(error, error.problems);
  return undefined;
}

function conflict() {
  return dialog("The settings have changed meanwhile", (close) => ({
    body: h("p", {}, "Somebody, or the file itself, has changed the configuration since this page read it. Nothing was applied."),
    buttons: [
      button("Drop my edits and load the newer settings", () => close("drop")),
      button("Put my edits on the newer settings", () => close("keep"), { kind: "primary" }),
    ],
  }));
}

function problems(error, list) {
  return dialog(error.title || "This cannot be applied", (close) => ({
    body: [h("p", {}, error.message), list.length > 0 && problemList(list)],
    buttons: [button("Close", () => close(undefined), { kind: "primary" })],
  }));
}

/** Problems of a configuration as a list; `onLine` makes the lines pressable. */
export function problemList(list, onLine) {
  return h(
    "ul",
    { class: "problems" },
    list.map((problem) =>
      h(
        "li",
        {},
        mark("bad", "Problem"),
        h(
          "div",
          {},
          h("p", {}, problem.line && (onLine ? h("button", { type: "button", class: "link-button", onclick: () => onLine(problem.line) }, `Line ${problem.line}`) : h("b", {}, `Line ${problem.line}`)), problem.line && " ", problem.key && h("code", {}, problem.key)),
          h("p", {}, plain(problem.what)),
          problem.hint && h("p", { class: "note" }, plain(problem.hint)),
        ),
      ),
    ),
  );
}

function proposal(plan, { send, verb, kind, close }) {
  const state = { good: false };
  const result = h("div", { "aria-live": "polite" }, rehearsing());
  const force = h("input", { type: "checkbox", id: "force-change", onchange: () => settle() });
  const forced = h("div", { class: "force", hidden: true }, force, h("label", { for: "force-change" }, "Apply it all the same; I know that visitors will get errors"));
  const apply = button(verb, () => busy(apply, run), { kind, key: "apply", disabled: true });
  const settle = () => {
    apply.disabled = !(state.good || force.checked);
  };
  const run = async () => {
    try {
      const done = await send({ dryRun: false, rehearse: !(state.good || force.checked), force: force.checked });
      close(done);
    } catch (error) {
      if (error.status === 409 && error.rehearsal) verdict(error.rehearsal, error.message);
      else close(error);
    }
  };
  const verdict = (rehearsal, words) => {
    state.good = !rehearsal || rehearsal.sites.every((site) => site.ok !== false);
    forced.hidden = state.good;
    replace(result, rehearsalResult(rehearsal, words));
    settle();
  };
  send({ dryRun: true, rehearse: true }).then(
    (done) => verdict(done.rehearsal),
    (error) => {
      if (error.rehearsal) return verdict(error.rehearsal, error.message);
      replace(result, failed(error));
      forced.hidden = false;
      return undefined;
    },
  );
  return {
    body: [
      h("h3", {}, "What changes in the file"),
      diffView(plan.diff),
      plan.restart_needed?.length > 0 && notice("warn", "Takes effect after a restart", h("ul", { class: "bullets" }, plan.restart_needed.map((text) => h("li", {}, text)))),
      h("h3", {}, "Rehearsal"),
      result,
      forced,
      plan.warnings?.length > 0 && h("details", { class: "inner" }, h("summary", {}, `${plural(plan.warnings.length, "warning")} about the file`), h("ul", { class: "bullets" }, plan.warnings.map((text) => h("li", {}, text)))),
    ],
    buttons: [button("Cancel", () => close(undefined)), apply],
  };
}

function rehearsing() {
  return h("div", { class: "rehearsing" }, badge("run", "Rehearsing"), h("p", { class: "note" }, "Each site is asked with the new settings, as a fetch would ask. This takes 20 s at most; nothing is changed yet."), skeleton(1));
}

function rehearsalResult(rehearsal, words) {
  if (!rehearsal) return notice("info", "No rehearsal was needed", h("p", {}, "The change does not touch how origins are asked."));
  if (rehearsal.sites.length === 0) return notice("info", "No rehearsal was needed", h("p", {}, "No site is added or changed."));
  const isGood = rehearsal.sites.every((site) => site.ok !== false);
  return h(
    "div",
    { class: "rehearsal" },
    isGood
      ? notice("good", "The rehearsal went well", h("p", {}, "With the new settings the origins answer."))
      : notice("bad", "With the new settings fetches would fail", h("p", {}, words ?? "Visitors would get an error page where nothing is stored.")),
    h("ul", { class: "rehearsal-sites" }, rehearsal.sites.map((site) => h("li", {}, siteMark(site.ok), h("div", {}, h("b", {}, site.site), h("p", { class: "note pre" }, ending(site.ending)))))),
  );
}

/** What is broken, and on lines of their own what mends it and what shows it. */
function ending(text) {
  return text.replace("; to mend it: ", "\nTo mend it: ").replace("; to see it: ", "\nTo see it: ");
}

const KINDS = { "+": ["added", "add"], "-": ["removed", "del"], " ": ["", ""] };

/** `null` is: not known in time. */
function siteMark(ok) {
  return ok ? mark("good", "Answers") : ok === false ? mark("bad", "Fails") : mark("warn", "Not known");
}

/** A unified diff, with signs besides colours. */
export function diffView(lines) {
  return h(
    "div",
    { class: "diff", tabindex: 0, role: "region", "aria-label": "Difference" },
    h(
      "table",
      {},
      h(
        "tbody",
        {},
        withGaps(lines).map((line) =>
          line === null ? h("tr", { class: "gap" }, h("td", { class: "diff-line" }, "⋯"), h("td", {}), h("td", {})) : h("tr", { class: KINDS[line.kind]?.[1] }, h("td", { class: "diff-line" }, line.line), h("td", { class: "diff-sign" }, h("span", { "aria-hidden": "true" }, line.kind), h("span", { class: "visually-hidden" }, KINDS[line.kind]?.[0])), h("td", { class: "diff-text" }, line.text)),
        ),
      ),
    ),
  );
}

/** The lines, with null where some that are the same are left out. */
function withGaps(lines) {
  let next = null;
  return lines.flatMap((line) => {
    const gap = line.kind !== "-" && next !== null && line.line > next ? [null] : [];
    if (line.kind !== "-") next = line.line + 1;
    return [...gap, line];
  });
}
