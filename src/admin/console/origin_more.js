// What else there is to say of fetches: certificate check, retries, timeouts, health, and what the origin is asked.
import { h } from "./dom.js";
import { cell, choice, frame, list, listOrDefault, number, pairs, rows, text } from "./fields.js";

/** The folded sections of Origin Fetch. */
export function originMore(draft) {
  return [
    { title: "Certificate check", note: "Whom to trust, the lowest TLS version, and who Millpond is", paths: ["origin.certificate_names", "origin.trust", "origin.tls_min", "origin.pin", "origin.client_certificate"], content: trust(draft) },
    { title: "Retries and limits", note: "When a fetch moves on, and how much one origin gets at once", paths: ["origin.retries", "origin.retry_on", "origin.follow_redirects", "origin.max_connections", "max_fetches"], content: limits(draft) },
    { title: "Timeouts", note: "How long each phase of a fetch may take", paths: ["origin.timeouts"], content: timeouts(draft) },
    { title: "Health check", note: "Servers that fail it are left out while another answers", paths: ["origin.health"], content: health(draft) },
    { title: "What the origin is asked", note: "Path, query and header fields of its requests", paths: ["origin.request"], content: request(draft) },
  ];
}

function trust(draft) {
  return h(
    "div",
    { class: "fields" },
    choice(draft, "origin.certificate_names", { label: "Names that count", key: "certificate_names", help: "Which names of the certificate are compared with the SNI." }, [["", "subjectAltName, else Common Name (default)"], ["san", "subjectAltName alone"], ["cn", "Common Name alone"]]),
    text(draft, "origin.trust", { label: "Trust", key: "trust", help: "“system”, “bundled”, or the path of a CA file (PEM)." }),
    choice(draft, "origin.tls_min", { label: "Lowest TLS version", key: "tls_min", help: "An origin that speaks none above it is refused." }, [["", "TLS 1.2 (default)"], ["1.3", "TLS 1.3"]]),
    h("div", { class: "span" }, list(draft, "origin.pin", { label: "Pinned certificates", key: "pin", item: "Pin", mono: true, placeholder: "sha256:…", help: "Accept exactly these, whoever signed them. A pin must be changed with every renewal." })),
    text(draft, "origin.client_certificate.certificate", { label: "Our certificate (mutual TLS)", key: "client_certificate", mono: true, placeholder: "none", help: "Shown where the origin asks who we are; path of a PEM file." }),
    text(draft, "origin.client_certificate.key", { label: "Its private key", mono: true, placeholder: "none" }),
  );
}

function limits(draft) {
  return h(
    "div",
    { class: "fields" },
    listOrDefault(draft, "origin.retry_on", { label: "Statuses that make a fetch move on", key: "retry_on", item: "Status", numbers: true, placeholder: "500", help: "Of the origin's answers, 400 to 599; only where the method may be repeated." }, { standard: "502, 503 and 504", none: "None: every answer counts" }),
    number(draft, "origin.retries", { label: "Retries", key: "retries", unit: "at most", max: 10, help: "How often a fetch moves on to another address or server, where that is safe." }),
    number(draft, "origin.follow_redirects", { label: "Redirects to follow", key: "follow_redirects", unit: "at most", max: 10, placeholder: "0: visitors get them", help: "The origin's redirects that are followed for visitors." }),
    number(draft, "origin.max_connections", { label: "Connections to one address", key: "max_connections", unit: "at once", max: 65535, placeholder: "0: no limit" }),
    number(draft, "max_fetches", { label: "Fetches of this site", key: "max_fetches", unit: "at once", min: 1, max: 16384, placeholder: "128" }),
  );
}

const TIMES = [["resolve", "Look the name up"], ["connect", "Connect", "To one address."], ["tls_handshake", "TLS handshake"], ["first_byte", "First byte", "From the request sent to the first byte of the answer."], ["between_bytes", "Between two parts", "Of one answer."], ["head", "Response head", "From the start, over all attempts."], ["total", "Whole response", "With its body; 0s is off."]];

function timeouts(draft) {
  return [
    h("p", { class: "note block spaced" }, "Durations are written 250ms, 5s, 2m, 1h."),
    h(
      "div",
      { class: "fields thin" },
      TIMES.map(([key, label, help]) => text(draft, `origin.timeouts.${key}`, { label, key, unit: "duration", help })),
      text(draft, "origin.timeouts.min_rate", { label: "Slowest body", key: "min_rate", unit: "bytes a second", placeholder: "0: off", help: "Over 20 s, such as 1024 or 4KiB; a slower answer is broken off." }),
    ),
  ];
}

function health(draft) {
  const at = (key) => `origin.health.${key}`;
  return h(
    "div",
    { class: "fields thin" },
    text(draft, at("path"), { label: "Path to ask for", key: "health.path", mono: true, placeholder: "none: no check", help: "Asked of every server (GET); it switches the check on." }),
    text(draft, at("host"), { label: "Host of the check", key: "health.host", mono: true, placeholder: "the origin's Host" }),
    list(draft, at("status"), { label: "Healthy statuses", key: "health.status", item: "Status", numbers: true, placeholder: "200" }),
    text(draft, at("interval"), { label: "Time between two checks", key: "health.interval", unit: "duration", placeholder: "10s" }),
    text(draft, at("timeout"), { label: "Longest check", key: "health.timeout", unit: "duration", placeholder: "5s" }),
    number(draft, at("failures"), { label: "Out after", key: "health.failures", unit: "failed checks", min: 1, max: 100, placeholder: "3", help: "In a row." }),
    number(draft, at("successes"), { label: "Back after", key: "health.successes", unit: "good checks", min: 1, max: 100, placeholder: "2", help: "In a row." }),
  );
}

const VALUES = "Values know $client_ip, $client_port, $scheme, $host, $method, $request_id, $uri, $path, $query and $server_name; $$ is a dollar.";

function request(draft) {
  const at = (key) => `origin.request.${key}`;
  const field = ["Name", "Value"];
  return h(
    "div",
    { class: "stack" },
    group("Path", "In this order. The cache key stays that of the visitor's URL.", h("div", { class: "fields" }, text(draft, at("strip_prefix"), { label: "Take off the path", key: "strip_prefix", mono: true, placeholder: "/cdn" }), h("div", { class: "span" }, rewrites(draft)), text(draft, at("path_prefix"), { label: "Put before the path", key: "path_prefix", mono: true, placeholder: "/bucket" }))),
    group("Query", "Parameters of the origin's requests, percent-encoded as needed.", h("div", { class: "fields wide" }, pairs(draft, at("query.set"), { label: "Parameters to set", key: "query.set", item: "Parameter", add: "Set a parameter" }, [...field, "v", "2"]), pairs(draft, at("query.add"), { label: "Parameters to add", key: "query.add", item: "Parameter", add: "Add a parameter" }, [...field, "via", "cdn"]), list(draft, at("query.remove"), { label: "Parameters not sent on", key: "query.remove", item: "Parameter", placeholder: "token" }))),
    group("Header fields", VALUES, h("div", { class: "fields wide" }, pairs(draft, at("set"), { label: "Fields to set", key: "request.set", item: "Field", help: "In the place of what the visitor sent.", add: "Set a field" }, [...field, "X-Real-IP", "$client_ip"]), pairs(draft, at("add"), { label: "Fields to add", key: "request.add", item: "Field", help: "Besides what the visitor sent.", add: "Add a field" }, [...field, "X-Served-By", "millpond"]), list(draft, at("remove"), { label: "Fields not sent on", key: "request.remove", item: "Field", placeholder: "Cookie" }))),
  );
}

/** A titled group within a section. */
export function group(title, note, ...content) {
  return h("div", { class: "group" }, h("h3", {}, title), note && h("p", { class: "note" }, note), content);
}

function rewrites(draft) {
  const path = "origin.request.rewrite";
  const items = (draft.read(path) ?? []).map((one) => ({ from: "", to: "", ...one }));
  const written = () => items.filter((one) => one.from || one.to);
  const save = () => draft.write(path, written().map((one) => ({ ...one })));
  const row = (one, index) => [cell(one, "from", `Path of rewrite ${index + 1}`, "/old/**", save), h("span", { class: "arrow", "aria-hidden": "true" }, "→"), cell(one, "to", `New path of rewrite ${index + 1}`, "/new/$1", save)];
  return rows(draft, path, { label: "Rewrite the path", key: "rewrite", item: "Rewrite", ordered: true, add: "Add a rewrite", help: "The first that fits the whole path counts: * is anything within a segment, ** anything at all; $1 to $9 are what they stood for." }, { items, fresh: () => ({ from: "", to: "" }), row, save, find: (part) => items.indexOf(written()[part - 1]) });
}
