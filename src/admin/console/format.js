// Numbers and times for people, with the exact value in the title.
import { h } from "./dom.js";

const PLAIN = new Intl.NumberFormat("en");
const COMPACT = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const WHEN = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "short" });
const EXACT = new Intl.DateTimeFormat("en-GB", { dateStyle: "full", timeStyle: "long" });
const DAY = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium" });

/** `12,345` or `1.2M`. */
export function countText(number) {
  if (number === null || number === undefined) return "–";
  return Math.abs(number) < 100_000 ? PLAIN.format(Math.round(number)) : COMPACT.format(number);
}

/** `1.5 GiB`; powers of 1024, as the configuration has them. */
export function bytesText(bytes) {
  if (bytes === null || bytes === undefined) return "–";
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let value = Math.abs(bytes);
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  const text = unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1);
  return `${bytes < 0 ? "−" : ""}${text} ${units[unit]}`;
}

/** `94.3 %`. */
export function percentText(share) {
  if (share === null || share === undefined || Number.isNaN(share)) return "–";
  const percent = share * 100;
  return `${percent >= 99.95 || percent === 0 ? Math.round(percent) : percent.toFixed(1)} %`;
}

/** `3 d 4 h`, `12 min`, `8 s`: the two largest parts. */
export function durationText(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  const parts = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
  let left = Math.max(0, Math.round(seconds));
  const words = [];
  for (const [word, size] of parts) {
    const count = Math.floor(left / size);
    if (count > 0 || (word === "s" && words.length === 0)) words.push(`${count} ${word}`);
    left -= count * size;
    if (words.length === 2) break;
  }
  return words.join(" ");
}

/** Without the marks of code around names. */
export function plain(text) {
  return text.replace(/`([^`]*)`/g, "“$1”");
}

/** A text of the server's with its seconds made readable: `2592000 s` is `30 d`. */
export function humane(text) {
  return text.replace(/\b(\d{3,9}) s\b/g, (_, seconds) => durationText(Number(seconds)));
}

/** `12 ms`, `1.4 s`. */
export function millisText(milliseconds) {
  return milliseconds < 1000 ? `${Math.round(milliseconds)} ms` : `${(milliseconds / 1000).toFixed(1)} s`;
}

export function count(number) {
  return titled(countText(number), number === null || number === undefined ? null : PLAIN.format(number));
}

export function bytes(number) {
  return titled(bytesText(number), number === null || number === undefined ? null : `${PLAIN.format(number)} bytes`);
}

export function duration(seconds) {
  return titled(durationText(seconds), seconds === null || seconds === undefined ? null : `${PLAIN.format(seconds)} s`);
}

function titled(text, title) {
  return h("span", { class: "number", title }, text);
}

/** `5 min ago`, kept true while it is shown. */
export function ago(time) {
  if (!time) return h("span", {}, "never");
  const date = new Date(time);
  return h("time", { datetime: time, title: EXACT.format(date), "data-ago": "1" }, agoText(date));
}

/** `23 Nov 2026, 12:31`. */
export function when(time) {
  if (!time) return h("span", {}, "–");
  const date = new Date(time);
  return h("time", { datetime: time, title: EXACT.format(date) }, WHEN.format(date));
}

/** `23 Nov 2026`. */
export function day(time) {
  if (!time) return h("span", {}, "–");
  const date = new Date(time);
  return h("time", { datetime: time, title: EXACT.format(date) }, DAY.format(date));
}

function agoText(date) {
  const seconds = (Date.now() - date.getTime()) / 1000;
  if (seconds < -60) return `in ${durationText(-seconds).split(" ").slice(0, 2).join(" ")}`;
  if (seconds < 5) return "just now";
  return `${durationText(seconds).split(" ").slice(0, 2).join(" ")} ago`;
}

setInterval(() => {
  for (const element of document.querySelectorAll("time[data-ago]")) {
    element.textContent = agoText(new Date(element.dateTime));
  }
}, 10_000);

/** `1 site`, `2 sites`. */
export function plural(number, word, words = `${word}s`) {
  return `${countText(number)} ${number === 1 ? word : words}`;
}
