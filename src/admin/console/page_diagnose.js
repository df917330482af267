// Diagnose: the doctor live, step by step, and its remedy applied.
import { call, read, stream } from "./api.js";
import { review } from "./change.js";
import { checkItem, sniTable } from "./checks.js";
import { h, replace, uid } from "./dom.js";
import { badge, busy, button, card, empty, notice, pageHead, toast } from "./parts.js";

export function show(context) {
  context.title("Diagnose");
  const names = uid("names");
  const input = h("input", { class: "input mono", type: "text", id: "target", name: "target", list: names, required: true, value: context.query.get("target") ?? "", placeholder: "www.example.com or https://www.example.com/page", autocomplete: "off", spellcheck: "false", autocapitalize: "off" });
  const options = h("datalist", { id: names });
  const result = h("div", { class: "stack" });
  const submit = button("Diagnose", null, { kind: "primary", type: "submit", iconName: "diagnose", key: "run" });
  let running = null;
  const run = async () => {
    const target = input.value.trim();
    if (!target) {
      input.focus();
      return;
    }
    history.replaceState(null, "", `#/diagnose?target=${encodeURIComponent(target)}`);
    running?.abort();
    running = new AbortController();
    context.signal.addEventListener("abort", () => running.abort());
    await busy(submit, () => diagnose(target, result, running.signal, run));
  };
  replace(
    context.main,
    pageHead("Diagnose", "Asks the questions of a 502 in order, from this machine and with the site's own settings, and ends at the first step that is broken. It changes nothing."),
    h("form", { class: "ask-row card", role: "search", onsubmit: (event) => {
      event.preventDefault();
      run();
    } }, h("label", { for: "target", class: "field-label" }, "Domain name or URL"), h("div", { class: "list-row" }, input, submit), options),
    result,
  );
  replace(result, card(null, {}, empty("diagnose", "Nothing asked yet", "Name a domain of yours. You see each step as it ends: the name resolves, the server can be reached, it speaks the protocol, it shows the right certificate, it answers, and the answer may be kept.")));
  read("/sites", context.signal).then(({ items }) => replace(options, items.flatMap((site) => site.domains).map((value) => h("option", { value }))), () => undefined);
  if (input.value) run();
}

async function diagnose(target, result, signal, again) {
  const list = h("ol", { class: "checks" });
  const now = h("p", { class: "checking", role: "status" }, badge("run", "Starting"));
  const verdict = h("div", { "aria-live": "polite" });
  const onFix = (fix, element) => busy(element, () => applyFix(fix, again));
  replace(result, verdict, card("Steps", {}, list, now));
  let report = null;
  try {
    await stream("/doctor", { target }, (line) => {
      if (line.event === "checking") replace(now, badge("run", line.text));
      if (line.event === "check") list.append(checkItem(line.check, { server: line.server }));
      if (line.event === "report") report = line.report;
    }, signal);
  } catch (error) {
    if (error.name === "AbortError") return;
    replace(now);
    replace(verdict, notice("bad", error.title || "The diagnosis broke off", h("p", {}, error.message)));
    return;
  }
  replace(now);
  if (!report) {
    replace(verdict, notice("bad", "The diagnosis broke off", h("p", {}, "The server ended its answer before the last step.")));
    return;
  }
  replace(result, verdictOf(report, again), card("Steps", {}, h("ol", { class: "checks" }, report.checks.map((check) => checkItem(check, { onFix })), report.servers.flatMap((server) => server.checks.map((check) => checkItem(check, { onFix, server: server.server }))))), matrices(report));
}

function verdictOf(report, again) {
  const rerun = h("div", { class: "actions" }, button("Run again", again, { iconName: "refresh", key: "again" }));
  const all = [...report.checks, ...report.servers.flatMap((server) => server.checks)];
  const doubtful = all.filter((check) => check.outcome === "warning").length;
  if (!report.healthy) return notice("bad", "A fetch fails", h("p", { class: "pre" }, endingOf(all) ?? report.ending), rerun);
  return notice(doubtful ? "warn" : "good", doubtful ? "Fetches succeed, with something to look at" : "All is well", h("p", {}, report.subject), rerun);
}

function endingOf(checks) {
  return checks.find((check) => check.outcome === "BROKEN")?.finding?.what;
}

function matrices(report) {
  return report.servers.filter((server) => server.sni.length > 0).map((server) => card("Which certificate for which name", { note: server.server, flush: true }, sniTable(server.server, server.sni)));
}

async function applyFix(fix, again) {
  let { etag } = await call("GET", "/config");
  const done = await review({
    title: "Apply this fix",
    verb: "Apply the fix",
    send: async ({ dryRun, rehearse, force }) => (await call("POST", "/config/apply_fix", { body: { changes: fix.changes, dry_run: dryRun, rehearse, force }, ifMatch: etag })).body,
    renew: async () => {
      ({ etag } = await call("GET", "/config"));
      return true;
    },
  });
  if (!done) return;
  toast("The fix is applied; asking again");
  again();
}
