// Settings: the configuration's text with its versions, and what concerns the process.
import { call, path, query, read } from "./api.js";
import { problemList, review } from "./change.js";
import { h, replace } from "./dom.js";
import { ago, bytes, durationText, plain, when } from "./format.js";
import { badge, busy, button, card, dialog, empty, facts, failed, loaded, notice, pageHead, skeleton, tabs, toast } from "./parts.js";

export function show(context) {
  const [section = "configuration"] = context.params;
  context.title("Settings");
  const box = h("div", { class: "stack" });
  replace(context.main, pageHead("Settings", "The configuration file and the process."), tabs("Sections", [["configuration", "Configuration", "#/settings/configuration"], ["versions", "Versions", "#/settings/versions"], ["process", "Process", "#/settings/process"]], section), box);
  if (section === "versions") versions(context, box);
  else if (section === "process") process(context, box);
  else configuration(context, box);
}

async function configuration(context, box) {
  replace(box, skeleton(8));
  let file;
  try {
    file = await call("GET", "/config", { signal: context.signal });
  } catch (error) {
    if (error.name !== "AbortError") replace(box, failed(error, () => configuration(context, box)));
    return;
  }
  const before = file.body;
  const area = h("textarea", { class: "editor mono", id: "config-text", spellcheck: "false", autocapitalize: "off", wrap: "off", rows: 28, value: before, oninput: () => tell(), onscroll: () => (gutter.scrollTop = area.scrollTop) });
  const gutter = h("div", { class: "gutter mono", "aria-hidden": "true" });
  const result = h("div", { class: "stack small", "aria-live": "polite" });
  const check = button("Check", () => busy(check, () => checkText(area, result)), { iconName: "check", key: "check" });
  const apply = button("Review changes", () => busy(apply, () => applyText(context, area, file, box, result)), { kind: "primary", key: "review" });
  const tell = () => {
    apply.disabled = area.value === before;
    const count = area.value.split("\n").length;
    if (gutter.childElementCount !== count) replace(gutter, Array.from({ length: count }, (_, index) => h("div", {}, index + 1)));
  };
  context.guard(() => area.isConnected && area.value !== before);
  replace(box, card("Configuration file", { note: "As it stands in the file. Comments are kept.", actions: [check, apply] }, h("label", { for: "config-text", class: "visually-hidden" }, "Text of the configuration"), result, h("div", { class: "editor-box" }, gutter, area)));
  tell();
}

function goTo(area, line) {
  const start = area.value.split("\n").slice(0, line - 1).reduce((sum, text) => sum + text.length + 1, 0);
  const end = area.value.indexOf("\n", start);
  area.focus();
  area.setSelectionRange(start, end < 0 ? area.value.length : end);
  area.scrollTop = Math.max(0, (line - 6) * parseFloat(getComputedStyle(area).lineHeight));
}

async function checkText(area, result) {
  try {
    const { body } = await call("POST", "/check", { text: area.value });
    replace(
      result,
      body.ok ? notice("good", "The configuration is valid") : notice("bad", "The configuration has problems", problemList(body.problems, (line) => goTo(area, line))),
      body.warnings.length > 0 && notice("warn", "Worth a look", h("ul", { class: "bullets" }, body.warnings.map(({ line, what, hint }) => h("li", {}, line > 0 && `Line ${line}: `, plain(what), hint && `; ${plain(hint)}`)))),
    );
  } catch (error) {
    replace(result, failed(error));
  }
}

async function applyText(context, area, file, box, result) {
  replace(result);
  const done = await review({
    title: "Change the configuration",
    send: async ({ dryRun, rehearse, force }) => (await call("PUT", "/config" + query({ dry_run: dryRun, rehearse, force: force || null }), { text: area.value, ifMatch: file.etag })).body,
    onProblems: (problems) => {
      replace(result, notice("bad", "The configuration has problems", problemList(problems, (line) => goTo(area, line))));
      return [];
    },
    renew: async (choice) => {
      const fresh = await call("GET", "/config");
      if (choice === "keep") file.etag = fresh.etag;
      else configuration(context, box);
      return true;
    },
  });
  if (!done) return;
  toast(done.restart_needed?.length ? "Applied; some of it takes effect after a restart" : "Applied; it is in force now");
  configuration(context, box);
}

function versions(context, box) {
  const list = h("div");
  replace(box, card("Earlier versions", { note: "One is kept before every change that is applied here.", flush: true }, list));
  const again = loaded(list, () => read("/config/versions", context.signal), ({ items }) => {
    if (items.length === 0) return empty("history", "No earlier version yet", "Once a change is applied, the configuration before it is kept here and can be brought back.");
    return h(
      "ul",
      { class: "versions" },
      items.map((item) => {
        const view = button("View", () => busy(view, () => look(item)), { kind: "quiet small", key: `view-${item.version}` });
        const back = button("Bring back…", () => busy(back, () => restore(item, again)), { kind: "plain small", iconName: "history", key: `restore-${item.version}` });
        return h("li", {}, h("div", {}, h("p", {}, h("b", {}, when(item.saved))), h("p", { class: "note" }, ago(item.saved), " · ", bytes(item.bytes), " · ", h("code", {}, item.version))), h("div", { class: "actions" }, view, back));
      }),
    );
  });
}

async function look(item) {
  const text = await read(path`/config/versions/${item.version}`).catch((error) => error.message);
  await dialog(`Version of ${new Date(item.saved).toLocaleString("en-GB")}`, (close) => ({ body: h("pre", { class: "paper", tabindex: 0, "aria-label": "Configuration" }, text), buttons: [button("Close", () => close(undefined), { kind: "primary" })] }), { wide: true });
}

async function restore(item, again) {
  let { etag } = await call("GET", "/config");
  const done = await review({
    title: "Bring this version back",
    verb: "Bring it back",
    send: async ({ dryRun, rehearse, force }) => (await call("POST", path`/config/versions/${item.version}/restore` + query({ dry_run: dryRun, rehearse, force: force || null }), { ifMatch: etag })).body,
    renew: async () => {
      ({ etag } = await call("GET", "/config"));
      return true;
    },
  });
  if (!done) return;
  toast("The earlier version is in force");
  again();
}

function process(context, box) {
  const [about, level, reload, cache] = [h("div"), h("div"), h("div", { "aria-live": "polite" }), h("div")];
  const go = button("Reload the file", () => busy(go, () => reloadFile(reload)), { iconName: "refresh", key: "reload" });
  replace(box, h("div", { class: "grid halves" }, card("About", {}, about), card("Log level", { note: "How much Millpond says of itself; until the next start." }, level)), card("Reload", { note: "Reads the file and its certificates anew, as SIGHUP does. What is wrong with it changes nothing.", actions: go }, reload), card("Store", { flush: true }, cache));
  loaded(about, () => read("/version", context.signal), (version) => facts([["Version", `${version.name} ${version.version}`], ["Started", when(version.started)], ["Up for", durationText(version.uptime_seconds)], ["Configuration", version.config_file ? h("code", {}, version.config_file) : "none: started from the command line"], ["Changes", version.writable ? badge("good", "Written to the file") : badge("warn", "The file cannot be written")]]));
  loaded(level, () => read("/log-level", context.signal), ({ level: present }) => levelChoice(present));
  loaded(cache, () => read("/cache", context.signal), hottest);
}

function levelChoice(present) {
  const select = h("select", { class: "input", id: "log-level", onchange: async () => {
    try {
      await call("PUT", "/log-level", { body: { level: select.value } });
      toast(`Log level is ${select.value}`);
    } catch (error) {
      toast(error.message, "bad");
    }
  } }, ["error", "warn", "info", "debug", "trace"].map((value) => h("option", { value, selected: value === present }, value)));
  return h("div", { class: "field" }, h("label", { for: "log-level", class: "field-label" }, "Level"), select);
}

async function reloadFile(box) {
  try {
    const { body } = await call("POST", "/reload");
    replace(box, notice("good", "Reloaded", h("ul", { class: "bullets" }, (body.changed.length ? body.changed : ["Nothing has changed."]).map((text) => h("li", {}, text)))), body.restart_needed.length > 0 && notice("warn", "Takes effect after a restart", h("ul", { class: "bullets" }, body.restart_needed.map((text) => h("li", {}, text)))));
  } catch (error) {
    replace(box, notice("bad", error.title || "Not reloaded", h("p", {}, error.message), error.problems.length > 0 && problemList(error.problems)));
  }
}

function hottest(stats) {
  const rows = (title, items, show) => h("div", {}, h("h3", {}, title), items.length ? h("ol", { class: "urls" }, items.slice(0, 8).map((item) => h("li", {}, h("span", { class: "mono wrap-anywhere" }, item.url), h("span", { class: "note" }, show(item))))) : h("p", { class: "note" }, "None yet."));
  return h("div", { class: "grid halves inset" }, rows("Most used", stats.hottest, (item) => `${item.hits} hits`), rows("Largest", stats.largest, (item) => bytes(item.bytes)));
}
