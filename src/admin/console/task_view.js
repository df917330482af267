// A task as a line with its progress, and what can be done with it.
import { h } from "./dom.js";
import { ago, bytes, count, durationText } from "./format.js";
import { badge, busy, button, confirm, link, progress, toast } from "./parts.js";

export const STATES = { pending: ["idle", "Pending"], running: ["run", "Running"], paused: ["warn", "Paused"], complete: ["good", "Complete"], failed: ["bad", "Failed"], cancelled: ["idle", "Cancelled"] };

export function stateBadge(state) {
  return badge(...(STATES[state] ?? ["info", state]));
}

export function taskRow(task, actions) {
  return h(
    "li",
    { class: "task", "data-task": task.id, "data-state": task.state },
    h("div", { class: "task-head" }, stateBadge(task.state), link(task.source || task.id, `#/tasks/task/${encodeURIComponent(task.id)}`, { key: `task-${task.id}` }), task.dry_run && badge("info", "Dry run"), h("span", { class: "note task-age" }, ago(task.created))),
    taskProgress(task),
    actions.length > 0 && h("div", { class: "actions" }, actions),
  );
}

/** The bar with its numbers. */
export function taskProgress(task) {
  const share = task.total > 0 ? task.done / task.total : task.state === "complete" ? 1 : 0;
  return h(
    "div",
    { class: "task-progress" },
    progress(share, "URLs done", { bad: task.total > 0 ? task.failed / task.total : 0 }),
    h(
      "p",
      { class: "note task-numbers" },
      h("span", {}, count(task.done), " of ", count(task.total), " URLs"),
      h("span", {}, bytes(task.bytes)),
      task.failed > 0 && h("span", { class: "bad-text" }, count(task.failed), " failed"),
      task.state === "running" && h("span", {}, `${(task.rate_per_second ?? 0).toFixed(1)} a second`),
      task.state === "running" && task.seconds_left !== null && h("span", {}, `${durationText(task.seconds_left)} left`),
      task.error && task.failed === 0 && h("span", { class: "bad-text" }, task.error),
    ),
  );
}

const ACTIONS = {
  pause: ["Pause", "pause", ["running", "pending"]],
  resume: ["Resume", "play", ["paused"]],
  cancel: ["Cancel", "close", ["running", "pending", "paused"]],
  retry: ["Retry failed", "refresh", ["failed", "complete", "cancelled"]],
  delete: ["Remove", "trash", ["failed", "complete", "cancelled"]],
};

/** Buttons for what this task's state allows. */
export function taskActions(task, act) {
  return Object.entries(ACTIONS)
    .filter(([action, [, , states]]) => states.includes(task.state) && (action !== "retry" || task.failed > 0))
    .map(([action, [text, iconName]]) => {
      const go = button(text, () => busy(go, () => run(task, action, act)), { kind: "quiet small", iconName, key: `${action}-${task.id}` });
      return go;
    });
}

async function run(task, action, act) {
  if (action === "cancel" && !(await confirm("Cancel this task?", "What is fetched stays stored; the rest is not fetched.", "Cancel the task"))) return;
  try {
    await act(task, action);
  } catch (error) {
    if (error.name !== "AbortError") toast(error.message, "bad");
  }
}
