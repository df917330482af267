// Add a domain name: from nothing to a site in four questions.
import { call, query, read, stream } from "./api.js";
import { review } from "./change.js";
import { checkItem } from "./checks.js";
import { h, replace } from "./dom.js";
import { frame, list, number, segments, text } from "./fields.js";
import { Draft } from "./form.js";
import { target } from "./names.js";
import { badge, busy, button, card, link, notice, pageHead, toast } from "./parts.js";

export function show(context) {
  context.title("Add a domain name");
  const draft = new Draft({ origin: {} });
  const trial = h("div", { "aria-live": "polite" });
  const create = button("Review and add", () => busy(create, () => add(context, draft, rest)), { kind: "primary", key: "review" });
  const tryOut = button("Try the origin", () => busy(tryOut, () => ask(context, draft, trial)), { iconName: "diagnose", key: "try" });
  const rest = h("div");
  const goes = h("div", { class: "outcome", "aria-live": "polite" });
  draft.listeners.add(() => tellTarget(draft, goes));
  const crumbs = h("nav", { class: "crumbs", "aria-label": "Where you are" }, h("a", { href: "#/domains" }, "Domain Names"), h("span", { "aria-hidden": "true" }, " /"));
  replace(
    context.main,
    pageHead("Add a domain name", "Nothing is applied before you have seen what is written to the file and how its rehearsal went.", null, crumbs),
    h(
      "form",
      { class: "stack narrow", novalidate: true, onsubmit: (event) => event.preventDefault() },
      card("1. What visitors ask for", {}, list(draft, "domains", { label: "Domain names", key: "domains", placeholder: "www.example.com", help: "One or more; *.example.com is every name below example.com." })),
      card("2. Where the content is", {}, servers(draft)),
      card("3. How the origin is asked", {}, protocol(draft), goes),
      card("4. Under which name", { note: "Both may stay empty: then the origin gets the name that the visitor asked for." }, h("div", { class: "fields" }, text(draft, "origin.host", { label: "Host", key: "host", mono: true, placeholder: "the visitor's name" }), text(draft, "origin.sni", { label: "SNI", key: "sni", mono: true, placeholder: "the Host" }))),
      rest,
      trial,
      h("div", { class: "actions end" }, link("Cancel", "#/domains", { kind: "quiet" }), tryOut, create),
    ),
  );
  let isDone = false;
  context.guard(() => !isDone && draft.changes() > 0 && !location.hash.startsWith("#/domains/"));
  context.signal.addEventListener("abort", () => (isDone = true));
}

function servers(draft) {
  const input = h("input", { class: "input mono", type: "text", name: "origin.servers", placeholder: "origin.example.net or 192.0.2.7:8443", autocomplete: "off", spellcheck: "false", autocapitalize: "off", oninput: () => draft.write("origin.servers", input.value.split(/[\s,]+/).filter(Boolean)) });
  return frame(draft, "origin.servers", { label: "Origin server", key: "servers", help: "A name or an address, with a port if it has one. More servers, separated by spaces, share the fetches." }, input);
}

function protocol(draft) {
  const box = h("div", { class: "stack small" });
  const draw = () => {
    const present = draft.read("origin.protocol") ?? "";
    const options = [["", "By port", "443 is HTTPS, others HTTP"], ["http", "HTTP", "always plain"], ["https", "HTTPS", "always encrypted"], ["follow", "Follow", "as the visitor's request"]];
    const pick = segments("origin.protocol", "Origin Protocol Policy", options, present, (value) => {
      draft.write("origin.ports", null);
      draft.write("origin.protocol", value);
      draw();
      box.querySelector(`input[value="${value}"]`)?.focus();
    });
    const port = (scheme, standard) => number(draft, `origin.ports.${scheme}`, { label: `${scheme.toUpperCase()} port`, placeholder: `the server's own, else ${standard}`, min: 1, max: 65535 });
    replace(box, pick, present && h("div", { class: "fields" }, present !== "https" && port("http", 80), present !== "http" && port("https", 443)));
  };
  draw();
  return box;
}

function tellTarget(draft, box) {
  const rows = (draft.read("origin.servers") ?? []).map((server) => target(server, draft.now.origin)).filter(Boolean);
  replace(
    box,
    rows.length > 0 && [h("h3", {}, "Fetches go to"), h("ul", { class: "targets" }, rows.map((row) => h("li", {}, h("code", {}, row.text))))],
    rows.some((row) => row.trap) && notice("warn", "Plain HTTP on an unusual port", h("p", {}, "Without a policy every port but 443 means plain HTTP. If the port speaks TLS, choose HTTPS.")),
  );
}

/** Asks the first server as a fetch would, before there is a site. */
async function ask(context, draft, box) {
  const [server] = draft.read("origin.servers") ?? [];
  const goes = server && target(server, draft.now.origin);
  const name = draft.read("domains")?.[0];
  if (!goes || !name) {
    replace(box, notice("info", "Not yet", h("p", {}, "Enter a domain name and an origin server first.")));
    return;
  }
  const checks = h("ol", { class: "checks" });
  const head = h("div", {}, badge("run", "Asking the origin"));
  replace(box, card("Trial", {}, head, checks));
  const host = draft.read("origin.host") ?? name.replace(/^\*\./, "www.");
  const origin = goes.scheme === "follow" ? `https://${goes.name}:${draft.read("origin.ports.https") ?? 443}` : goes.text;
  try {
    await stream("/doctor", { origin, sni: draft.read("origin.sni") ?? host, host }, (line) => {
      if (line.event === "check") checks.append(checkItem(line.check, { server: line.server }));
      if (line.event === "report") replace(head, line.report.healthy ? badge("good", "The origin answers") : badge("bad", "A fetch would fail"));
    }, context.signal);
  } catch (error) {
    if (error.name !== "AbortError") replace(box, notice("warn", error.title || "The trial is not possible", h("p", {}, error.message), h("p", {}, "The rehearsal before the site is added asks the origin too.")));
  }
}

async function add(context, draft, rest) {
  const name = draft.read("domains")?.[0];
  replace(rest);
  let { etag } = await call("GET", "/sites");
  const done = await review({
    title: `Add ${name ?? "a domain name"}`,
    verb: "Add the domain name",
    send: async ({ dryRun, rehearse, force }) => (await call("POST", "/sites" + query({ dry_run: dryRun, rehearse, force: force || null }), { body: { settings: draft.now }, ifMatch: etag })).body,
    onProblems: (problems) => {
      const others = draft.show(problems);
      replace(rest, others.length > 0 && notice("bad", "Not valid yet", h("ul", { class: "bullets" }, others.map((problem) => h("li", {}, [problem.key, problem.key && ": ", problem.what, problem.hint && `; ${problem.hint}`])))));
      return [];
    },
    renew: async () => {
      ({ etag } = await call("GET", "/sites"));
      return true;
    },
  });
  if (!done) return;
  draft.reset(draft.now);
  toast(`${name} is added`);
  const row = (await read("/sites")).items.find((row) => row.domains.includes(name));
  location.hash = `#/domains/${encodeURIComponent(row?.name ?? name)}`;
}
