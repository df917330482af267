// Manage one site: Origin Fetch, cache rules, HTTPS, general. One draft for all sections, one bar to review and apply.
import { call, path, query, read } from "./api.js";
import { cacheSection } from "./section_cache.js";
import { review } from "./change.js";
import { h, replace } from "./dom.js";
import { Draft } from "./form.js";
import { generalSection } from "./section_general.js";
import { httpsSection } from "./section_https.js";
import { originSection } from "./section_origin.js";
import { badge, busy, button, link, notice, pageHead, showFailure, skeleton, tabs, toast } from "./parts.js";

const SECTIONS = { origin: ["Origin Fetch", originSection], cache: ["Cache rules", cacheSection], https: ["HTTPS", httpsSection], general: ["General", generalSection] };

/** The draft outlives a change of section, so that edits in two of them are applied together. */
let kept = null;

export function show(context) {
  const [name, section = "origin"] = context.params;
  if (!SECTIONS[section]) {
    location.replace("#/domains");
    return;
  }
  context.title(`${SECTIONS[section][0]} · ${name}`);
  const box = h("div", {}, skeleton(8));
  const state = h("span", { class: "state" });
  const actions = [state, link("Diagnose", `#/diagnose?target=${encodeURIComponent(name)}`, { kind: "plain", iconName: "diagnose" }), link("Explain a URL", `#/explain?url=${encodeURIComponent(`https://${name}/`)}`, { kind: "plain", iconName: "explain" })];
  const items = Object.entries(SECTIONS).map(([key, [title]]) => [key, title, `#/domains/${encodeURIComponent(name)}/${key}`]);
  const crumbs = h("nav", { class: "crumbs", "aria-label": "Where you are" }, h("a", { href: "#/domains" }, "Domain Names"), h("span", { "aria-hidden": "true" }, " /"));
  replace(context.main, pageHead(name, null, actions, crumbs), tabs("Sections", items, section), box);
  context.guard(() => kept?.draft.changes() > 0 && !location.hash.startsWith(`#/domains/${encodeURIComponent(name)}/`), () => (kept = null));
  open(context, name, section, box);
  tellState(context, name, state);
}

async function open(context, name, section, box) {
  try {
    if (kept?.name !== name || kept.draft.changes() === 0) kept = await fetchSite(name, context.signal);
  } catch (error) {
    if (error.status === 404) replace(box, notice("bad", "There is no such site", h("p", {}, "It may have been renamed or deleted."), h("div", { class: "actions" }, link("All domain names", "#/domains", { kind: "plain" }))));
    else showFailure(box, error, () => open(context, name, section, box));
    return;
  }
  draw(context, name, section, box);
}

async function fetchSite(name, signal) {
  const { body, etag } = await call("GET", path`/sites/${name}`, { signal });
  return { name, etag: etag ?? body.etag, draft: new Draft(body.settings, body.effective) };
}

function draw(context, name, section, box) {
  const { draft } = kept;
  draft.fields.clear();
  draft.listeners.clear();
  const redraw = () => draw(context, name, section, box);
  const site = { name, draft, context, redraw, etag: () => kept.etag, left: () => (kept = null) };
  const form = h("form", { class: "stack", novalidate: true, onsubmit: (event) => event.preventDefault() }, SECTIONS[section][1](site));
  replace(box, form, bar(context, name, draft, redraw));
  draft.notify();
}

function bar(context, name, draft, redraw) {
  const words = h("p", { class: "save-words", "aria-live": "polite" });
  const go = button("Review changes", () => busy(go, () => apply(context, name, draft, redraw)), { kind: "primary", key: "review" });
  const discard = button("Discard", () => {
    draft.reset(draft.before);
    redraw();
  }, { kind: "quiet", key: "discard" });
  const element = h("div", { class: "save-bar", role: "region", "aria-label": "Changes" }, words, h("div", { class: "actions" }, discard, go));
  const tell = () => {
    const count = draft.changes();
    element.classList.toggle("idle", count === 0);
    words.textContent = count === 0 ? "No changes" : count === 1 ? "1 change, not applied yet" : `${count} changes, not applied yet`;
    go.disabled = count === 0;
    discard.hidden = count === 0;
  };
  draft.listeners.add(tell);
  tell();
  return element;
}

async function apply(context, name, draft, redraw) {
  const done = await review({
    title: `Change ${name}`,
    send: async ({ dryRun, rehearse, force }) => {
      const options = query({ dry_run: dryRun, rehearse, force: force || null });
      return (await call("PATCH", path`/sites/${name}` + options, { body: draft.patch(), ifMatch: kept.etag })).body;
    },
    onProblems: (problems) => draft.show(problems),
    renew: async (choice) => {
      const fresh = await fetchSite(name);
      if (choice === "keep") kept.etag = fresh.etag;
      else {
        kept = fresh;
        redraw();
        context.main.querySelector("h1")?.focus();
      }
      return true;
    },
  });
  if (!done) return;
  toast(done.restart_needed?.length ? "Applied; some of it takes effect after a restart" : "Applied; it is in force now");
  const renamed = draft.now.domains?.[0];
  if (renamed && renamed !== name) {
    kept = null;
    location.hash = `#/domains/${encodeURIComponent(renamed)}/general`;
    return;
  }
  kept = await fetchSite(name);
  redraw();
}

async function tellState(context, name, box) {
  context.every(15_000, async () => {
    const row = (await read("/sites", context.signal)).items.find((row) => row.name === name);
    return () => row && replace(box, row.healthy === false ? badge("bad", "Fetches fail", row.last_failure?.cause) : row.healthy ? badge("good", "Healthy") : badge("idle", "Not asked yet"));
  });
}
