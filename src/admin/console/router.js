// Which page an address shows. A page is `show(context)`; leaving it aborts what it asked and stops its timers.
import { Problem } from "./api.js";
import { replace } from "./dom.js";
import { confirm } from "./parts.js";
import * as add from "./page_add.js";
import * as certificates from "./page_certificates.js";
import * as diagnose from "./page_diagnose.js";
import * as domain from "./page_domain.js";
import * as domains from "./page_domains.js";
import * as explain from "./page_explain.js";
import * as failures from "./page_failures.js";
import * as overview from "./page_overview.js";
import * as settings from "./page_settings.js";
import * as task from "./page_task.js";
import * as tasks from "./page_tasks.js";

const ROUTES = [
  [/^overview$/, "overview", overview],
  [/^domains$/, "domains", domains],
  [/^domains\/new$/, "domains", add],
  [/^domains\/([^/]+)(?:\/([a-z]+))?$/, "domains", domain],
  [/^diagnose$/, "diagnose", diagnose],
  [/^failures$/, "failures", failures],
  [/^tasks(?:\/(prefetch|purge))?$/, "tasks", tasks],
  [/^tasks\/task\/([^/]+)$/, "tasks", task],
  [/^explain$/, "explain", explain],
  [/^certificates$/, "certificates", certificates],
  [/^settings(?:\/([a-z]+))?$/, "settings", settings],
];

let leave = null;
let present = "";
let isReturning = false;

/** Shows the page of the address, now and whenever it changes. */
export function start(main, mark) {
  const go = async () => {
    if (isReturning) {
      isReturning = false;
      return;
    }
    if (leave?.guard && location.hash !== present && !(await mayLeave(leave))) {
      isReturning = true;
      location.hash = present;
      return;
    }
    open(main, mark);
  };
  window.addEventListener("hashchange", go);
  window.addEventListener("beforeunload", (event) => leave?.guard?.() && event.preventDefault());
  open(main, mark);
}

async function mayLeave({ guard, drop }) {
  if (!guard()) return true;
  const isSure = (await confirm("Leave without applying?", "Your edits on this page have not been applied and would be lost.", "Leave", "danger")) === true;
  if (isSure) drop?.();
  return isSure;
}

function open(main, mark) {
  const [address, search] = location.hash.replace(/^#\/?/, "").split("?");
  const found = ROUTES.map(([pattern, section, page]) => [pattern.exec(address), section, page]).find(([match]) => match);
  if (!found) {
    location.replace("#/overview");
    return;
  }
  const [match, section, page] = found;
  leave?.controller.abort();
  const isFirst = leave === null;
  present = location.hash;
  mark(section);
  const context = contextOf(main, match.slice(1).map((part) => (part === undefined ? undefined : decodeURIComponent(part))), search);
  replace(main);
  page.show(context);
  window.scrollTo(0, 0);
  if (!isFirst) (main.querySelector("h1") ?? main).focus({ preventScroll: true });
}

function contextOf(main, params, search) {
  const controller = new AbortController();
  leave = { controller, guard: null, drop: null };
  const mine = leave;
  return {
    main,
    params,
    query: new URLSearchParams(search ?? ""),
    signal: controller.signal,
    title: (text) => {
      document.title = `${text} · Millpond`;
    },
    /** `guard()` is true while there is something to lose; `drop()` lets it go. */
    guard: (guard, drop = null) => {
      Object.assign(mine, { guard, drop });
    },
    /**
     * Calls at once and then every so often, slower while nothing answers; not while the page is hidden. The function
     * that `action` brings draws; it waits while a button is being pressed and is left out while text is selected.
     */
    every: (milliseconds, action) => every(controller.signal, milliseconds, action),
  };
}

let pressed = false;
for (const [type, isDown] of [["pointerdown", true], ["pointerup", false], ["pointercancel", false], ["dragend", false]]) {
  window.addEventListener(type, () => (pressed = isDown), true);
}

/** What is drawn anew between press and release would swallow the click. */
async function released() {
  for (let turn = 0; pressed && turn < 40; turn += 1) await new Promise((resolve) => setTimeout(resolve, 50));
}

function isReading() {
  const selection = getSelection();
  return !selection.isCollapsed && document.getElementById("main").contains(selection.anchorNode);
}

async function every(signal, milliseconds, action) {
  let pause = milliseconds;
  while (!signal.aborted) {
    if (!document.hidden) {
      try {
        const draw = await action();
        await released();
        if (draw && !signal.aborted && !isReading()) draw();
        pause = milliseconds;
      } catch (error) {
        if (error.name === "AbortError") return;
        if (!(error instanceof Problem)) throw error;
        pause = Math.min(30_000, pause * 2);
      }
    }
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
}
