// One task: its progress, and every URL with its result.
import { call, path, query, read } from "./api.js";
import { h, replace } from "./dom.js";
import { bytes, count, durationText, when } from "./format.js";
import { badge, button, card, empty, facts, failed, pageHead, skeleton, table } from "./parts.js";
import { stateBadge, taskActions, taskProgress } from "./task_view.js";

const PAGE = 100;

export function show(context) {
  const [id] = context.params;
  context.title("Task");
  const state = { filter: "", after: [null], task: null };
  const [head, rows] = [h("div", { class: "stack small" }, skeleton(3)), h("div", {}, skeleton(6))];
  const title = h("div");
  const crumbs = () => h("nav", { class: "crumbs", "aria-label": "Where you are" }, h("a", { href: "#/tasks" }, "Prefetch & Purge"), h("span", { "aria-hidden": "true" }, " /"));
  replace(title, pageHead("Task", null, null, crumbs()));
  const filter = h("select", { class: "input small", "aria-label": "State of URLs", onchange: () => {
    state.filter = filter.value;
    state.after = [null];
    relist();
  } }, [["", "All states"], ["failed", "Failed"], ["running", "Running"], ["pending", "Pending"], ["complete", "Complete"], ["cancelled", "Cancelled"]].map(([value, text]) => h("option", { value }, text)));
  const list = async () => {
    const page = await read(path`/tasks/${id}/urls` + query({ limit: PAGE, after: state.after.at(-1), state: state.filter }), context.signal);
    return () => replace(rows, urls(page, state, relist));
  };
  const relist = () => list().then((show) => show(), () => undefined);
  const load = async () => {
    try {
      const task = await read(path`/tasks/${id}`, context.signal);
      const isOver = state.task && state.task.state === task.state && !["running", "pending"].includes(task.state);
      const showRows = isOver ? () => undefined : await list();
      return () => {
        if (state.task?.source !== task.source) replace(title, pageHead(task.source || "Task", null, null, crumbs()));
        state.task = task;
        replace(head, summary(task, draw));
        showRows();
      };
    } catch (error) {
      if (error.name !== "AbortError" && !state.task) {
        replace(head, failed(error));
        replace(rows);
      }
      throw error;
    }
  };
  const draw = () => load().then((show) => show(), () => undefined);
  replace(context.main, title, h("div", { class: "stack" }, card(null, {}, head), card("URLs", { actions: filter, flush: true }, rows)));
  context.every(2_000, load);
}

function summary(task, draw) {
  const act = async (task, action) => {
    if (action === "delete") {
      await call("DELETE", path`/tasks/${task.id}`);
      location.hash = "#/tasks";
      return;
    }
    await call("POST", path`/tasks/${task.id}/` + action);
    draw();
  };
  return [
    h("div", { class: "task-head", "data-state": task.state }, stateBadge(task.state), task.dry_run && badge("info", "Dry run"), h("div", { class: "actions task-age" }, taskActions(task, act))),
    taskProgress(task),
    facts([["Kind", task.kind], ["Created", when(task.created)], ["Started", when(task.started)], ["Ended", when(task.ended)]]),
  ];
}

function urls(page, state, draw) {
  if (page.items.length === 0) return empty("tasks", "No URL here", state.filter ? "None is in this state." : "They are still being listed.");
  const turn = (change) => () => {
    change();
    draw();
  };
  return [
    table(
      "URLs of the task",
      [
        { title: "URL", cell: (row) => h("div", { class: "cell-two" }, h("span", { class: "mono wrap-anywhere" }, row.url), row.cause && h("p", { class: "note wrap-anywhere" }, h("code", { class: "bad-text" }, row.cause), row.phase && `, ${row.phase.replaceAll("_", " ")}`, row.detail && `: ${row.detail}`)) },
        { title: "State", cell: (row) => h("div", { class: "cell-two" }, stateBadge(row.state), row.status && h("span", { class: "note" }, `status ${row.status}`)) },
        { title: "Store", cell: store },
        { title: "Size", kind: "right", cell: (row) => bytes(row.bytes) },
        { title: "Tries", kind: "right", cell: (row) => String(row.attempts) },
      ],
      page.items,
      { rowKey: (row) => row.url },
    ),
    h(
      "div",
      { class: "actions center" },
      button("Back", turn(() => state.after.pop()), { kind: "quiet", key: "back", disabled: state.after.length < 2 }),
      h("span", { class: "note" }, `${(state.after.length - 1) * PAGE + 1} to ${(state.after.length - 1) * PAGE + page.items.length} of `, count(page.total)),
      button("Next", turn(() => state.after.push(page.next)), { kind: "quiet", key: "next", disabled: !page.next }),
    ),
  ];
}

function store(row) {
  if (!row.cache) return "–";
  const words = { stored: ["good", "Stored"], hit: ["good", "Was stored"], "not-stored": ["warn", "Not stored"] }[row.cache] ?? ["info", row.cache];
  const lifetime = row.lifetime_seconds !== null && row.lifetime_seconds !== undefined && `for ${durationText(row.lifetime_seconds)}`;
  return h("div", { class: "cell-two" }, badge(...words), h("span", { class: "note" }, row.reason ?? lifetime));
}
