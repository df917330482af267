// Overview: what the machine does now, and what it spared the origins.
import { read } from "./api.js";
import { bars, ring, timeChart } from "./chart.js";
import { h, replace } from "./dom.js";
import { bytes, bytesText, count, countText, durationText, percentText } from "./format.js";
import { badge, card, empty, failed, link, pageHead, progress, skeleton, table } from "./parts.js";

const PERIOD = 5_000;

export function show(context) {
  context.title("Overview");
  const box = h("div", { class: "stack" }, skeleton(6));
  const live = h("span", { class: "live" }, badge("run", "Connecting"));
  replace(context.main, pageHead("Overview", "Everything since the start; the charts show the last ten minutes.", live), box);
  let view = null;
  context.every(PERIOD, async () => {
    try {
      const stats = await read("/stats", context.signal);
      return () => {
        if (!view) {
          view = build();
          replace(box, view.elements);
        }
        view.update(stats);
        replace(live, badge("good", `Live, up ${durationText(stats.uptime_seconds)}`));
      };
    } catch (error) {
      if (error.name === "AbortError") throw error;
      replace(live, badge("warn", "Not up to date"));
      if (!view) replace(box, failed(error));
      throw error;
    }
  });
}

function build() {
  const tiles = h("div", { class: "tiles" });
  const [causes, sites, cache, answers] = [h("div"), h("div"), h("div"), h("div")];
  const requests = timeChart("Requests a second over the last ten minutes", [{ key: "requests", name: "requests", tone: "second" }, { key: "hits", name: "hits", tone: "first" }], (value) => `${rate(value)}/s`);
  const delivered = timeChart("Bytes delivered a second over the last ten minutes", [{ key: "bytes", name: "delivered", tone: "first" }], (value) => `${bytesText(value)}/s`);
  const fetches = timeChart("Origin fetches and failures a second over the last ten minutes", [{ key: "fetches", name: "fetches", tone: "first" }, { key: "failures", name: "failures", tone: "bad" }], (value) => `${rate(value)}/s`);
  const update = (stats) => {
    replace(tiles, tilesOf(stats));
    const { step_seconds: step, times, ...series } = stats.series;
    const perSecond = Object.fromEntries(Object.entries(series).map(([key, values]) => [key, values.map((value) => value / step)]));
    for (const chart of [requests, delivered, fetches]) chart.update(times, perSecond);
    replace(causes, causesOf(stats));
    replace(sites, sitesOf(stats));
    replace(cache, cacheOf(stats));
    replace(answers, answersOf(stats));
    // A newcomer's next step comes first.
    const parent = names.parentElement;
    if (stats.by_site.length === 0 && parent?.firstChild !== names) parent?.prepend(names);
    if (stats.by_site.length > 0 && parent?.lastChild !== names) parent?.append(names);
  };
  const names = card("Domain names", { actions: link("Manage", "#/domains"), flush: true }, sites);
  const elements = [
    tiles,
    h("div", { class: "grid thirds" }, card("Requests", {}, requests.element), card("Delivered to visitors", {}, delivered.element), card("Origin fetches", {}, fetches.element)),
    h("div", { class: "grid thirds" }, card("Failures by cause", { actions: link("All failures", "#/failures") }, causes), card("Answers to visitors", {}, answers), card("Store", {}, cache)),
    names,
  ];
  return { elements, update };
}

function rate(value) {
  return value >= 100 ? countText(value) : value.toFixed(1).replace(/\.0$/, "");
}

function tilesOf(stats) {
  const saved = Math.max(0, stats.bytes_sent - stats.bytes_from_origin);
  const last = stats.series.requests.at(-1) ?? 0;
  return [
    tile("Requests", count(stats.requests), `${rate(last / stats.series.step_seconds)} a second now`),
    stats.requests > 0 ? tile("Hit ratio", percentText(stats.hit_ratio), `${countText(stats.hits)} answered from the store`, ring(stats.hit_ratio)) : tile("Hit ratio", "–", "no request yet"),
    tile("Bytes saved", bytes(saved), `of ${bytesText(stats.bytes_sent)} delivered`),
    tile("Origin fetches", count(stats.fetches), `${countText(stats.fetch_pool.running)} running, ${countText(stats.fetch_pool.queued)} waiting`),
    tile("Failed fetches", count(stats.fetch_failures), stats.fetches > 0 ? `${percentText(stats.fetch_failures / stats.fetches)} of all fetches` : "no fetch yet", null, stats.fetch_failures > 0 ? "bad" : ""),
    tile("Connections", count(stats.connections.open), `and ${countText(stats.connections.idle)} idle to origins`),
  ];
}

function tile(title, value, note, figure, tone = "") {
  return h("section", { class: `tile ${tone}` }, h("div", {}, h("h2", {}, title), h("p", { class: "tile-value" }, value), h("p", { class: "note" }, note)), figure);
}

function causesOf(stats) {
  if (stats.failures_by_cause.length === 0) return empty("certificates", "No failed fetch", "Every origin fetch since the start went well.");
  const sorted = [...stats.failures_by_cause].sort((a, b) => b.count - a.count);
  return bars("Failed fetches by cause", sorted.map(({ cause, count }) => ({ name: h("a", { href: `#/failures?cause=${encodeURIComponent(cause)}`, "data-key": `cause-${cause}` }, h("code", {}, cause)), value: count, words: countText(count), tone: "bad" })));
}

function answersOf(stats) {
  const names = { "1xx": "Interim", "2xx": "Success", "3xx": "Redirect, not modified", "4xx": "Client error", "5xx": "Server error" };
  const rows = Object.entries(stats.responses).filter(([key, number]) => number > 0 || key !== "1xx");
  if (stats.requests === 0) return empty("overview", "No request yet", "Answers appear here once visitors come.");
  return bars("Answers by status", rows.map(([key, number]) => ({ name: `${key} ${names[key] ?? ""}`, value: number, words: countText(number), tone: key === "5xx" ? "bad" : "" })));
}

function cacheOf(stats) {
  const share = stats.budget > 0 ? stats.stored_bytes / stats.budget : 0;
  return h(
    "div",
    { class: "stack small" },
    h("p", { class: "meter-words" }, h("b", {}, bytes(stats.stored_bytes)), ` of ${bytesText(stats.budget)}, ${percentText(share)}`),
    progress(share, "Share of the store's memory in use", { kind: share > 0.97 ? "warn" : "" }),
    h("dl", { class: "facts two" }, h("div", {}, h("dt", {}, "Stored responses"), h("dd", {}, count(stats.stored))), h("div", {}, h("dt", {}, "Evicted for room"), h("dd", {}, count(stats.evictions))), h("div", {}, h("dt", {}, "Fetch threads"), h("dd", {}, `${countText(stats.fetch_pool.running)} of ${countText(stats.fetch_pool.limit)}`)), h("div", {}, h("dt", {}, "Fetches waiting"), h("dd", {}, count(stats.fetch_pool.queued)))),
  );
}

function sitesOf(stats) {
  if (stats.by_site.length === 0) {
    return empty("domains", "No domain name yet", "Add the first one: a name that visitors ask for, and the origin server behind it.", link("Add a domain name", "#/domains/new", { kind: "primary", iconName: "plus" }));
  }
  return table(
    "Requests by domain name",
    [
      { title: "Site", cell: (row) => h("span", { class: "wrap-anywhere" }, link(row.site, `#/domains/${encodeURIComponent(row.site)}`, { key: `site-${row.site}` })) },
      { title: "Requests", kind: "right", cell: (row) => count(row.requests) },
      { title: "Hit ratio", kind: "right", cell: (row) => (row.requests ? percentText(row.hits / row.requests) : "–") },
      { title: "Delivered", kind: "right", cell: (row) => bytes(row.bytes_sent) },
      { title: "Fetches", kind: "right", cell: (row) => count(row.fetches) },
      { title: "Failed", kind: "right", cell: (row) => (row.failures ? h("span", { class: "bad-text" }, count(row.failures)) : "0") },
    ],
    stats.by_site,
    { rowKey: (row) => row.site },
  );
}
