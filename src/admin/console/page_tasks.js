// Prefetch & Purge: two forms, and the tasks that run.
import { call, path, query, read } from "./api.js";
import { h, replace } from "./dom.js";
import { count } from "./format.js";
import { prefetchForm } from "./form_prefetch.js";
import { purgeForm } from "./form_purge.js";
import { button, card, empty, failed, pageHead, skeleton, tabs } from "./parts.js";
import { taskActions, taskRow } from "./task_view.js";

const PAGE = 20;

export function show(context) {
  const [kind = "prefetch"] = context.params;
  context.title(kind === "purge" ? "Purge" : "Prefetch");
  const listing = h("div", {}, skeleton(4));
  const state = { limit: PAGE, filter: "" };
  const load = async () => {
    try {
      const page = await read("/tasks" + query({ limit: state.limit, state: state.filter }), context.signal);
      return () => replace(listing, tasks(page, state, draw));
    } catch (error) {
      if (error.name !== "AbortError" && !listing.querySelector(".task")) replace(listing, failed(error, draw));
      throw error;
    }
  };
  const draw = () => load().then((show) => show(), () => undefined);
  const filter = h("select", { class: "input small", "aria-label": "State of tasks", onchange: () => {
    state.filter = filter.value;
    draw();
  } }, [["", "All states"], ["running", "Running"], ["pending", "Pending"], ["paused", "Paused"], ["complete", "Complete"], ["failed", "Failed"], ["cancelled", "Cancelled"]].map(([value, text]) => h("option", { value }, text)));
  replace(
    context.main,
    pageHead("Prefetch & Purge", "Fetch before visitors ask, and take stored responses out of use."),
    tabs("What to do", [["prefetch", "Prefetch", "#/tasks/prefetch"], ["purge", "Purge", "#/tasks/purge"]], kind),
    h("div", { class: "grid form-and-list" }, kind === "purge" ? purgeForm(context) : prefetchForm(context, draw), card("Tasks", { actions: filter, flush: true }, listing)),
  );
  context.every(2_000, load);
}

function tasks({ items, total, next }, state, draw) {
  if (items.length === 0) return empty("tasks", state.filter ? "No task in this state" : "No task yet", "What you prefetch appears here with its progress, and stays with its results.");
  const more = async () => {
    state.limit = Math.min(1000, state.limit + 50);
    await draw();
  };
  return [
    h("ul", { class: "tasks" }, items.map((task) => taskRow(task, taskActions(task, act(draw))))),
    next && h("div", { class: "actions center" }, button("Show more", more, { kind: "quiet", key: "more" }), h("span", { class: "note" }, items.length, " of ", count(total))),
  ];
}

/** Sends an action of a task and shows what became of it. */
function act(draw) {
  return async (task, action) => {
    if (action === "delete") await call("DELETE", path`/tasks/${task.id}`);
    else await call("POST", path`/tasks/${task.id}/` + action);
    await draw();
  };
}

