// General: the names of the site, what its errors show, and its end.
import { call, path, query } from "./api.js";
import { review } from "./change.js";
import { h } from "./dom.js";
import { list, text, toggle } from "./fields.js";
import { busy, button, card, toast } from "./parts.js";

export function generalSection(site) {
  const { draft } = site;
  return [
    card("Domain names", { note: "Names that visitors ask for. *.example.com is every name below example.com; the most specific site wins." }, h("div", { class: "stack small" }, list(draft, "domains", { label: "Domain names", key: "domains", placeholder: "img.example.com" }), toggle(draft, "default", { label: "Answer for every other name too", key: "default", help: "Without such a site unknown names are refused." }))),
    card("Behaviour", {}, h("div", { class: "fields" }, toggle(draft, "expose_errors", { label: "Show the details of failed fetches to every visitor", key: "expose_errors", help: "Addresses and certificate names; without it only clients on the same machine see them." }), text(draft, "request_body", { label: "Largest request body", key: "request_body", unit: "size", placeholder: "1GiB", help: "Such as 64MiB; beyond it visitors get 413." }))),
    card("Delete this site", { note: "Its names are refused from then on. The previous configuration stays among the versions under Settings." }, remove(site)),
  ];
}

function remove(site) {
  const go = button(`Delete ${site.name}…`, () => busy(go, () => ask(site)), { kind: "danger", iconName: "trash" });
  return h("div", {}, go);
}

async function ask({ name, etag, left }) {
  const done = await review({
    title: `Delete ${name}`,
    verb: "Delete the site",
    kind: "danger",
    send: async ({ dryRun, rehearse, force }) => (await call("DELETE", path`/sites/${name}` + query({ dry_run: dryRun, rehearse, force: force || null }), { ifMatch: etag() })).body,
    renew: () => {
      left();
      location.reload();
      return false;
    },
  });
  if (!done) return;
  left();
  toast(`${name} is deleted`);
  location.hash = "#/domains";
}
