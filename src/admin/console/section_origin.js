// Origin Fetch: servers, Origin Protocol Policy with ports, Host, SNI, Common Name whitelist, and what they come to.
import { h, replace } from "./dom.js";
import { choice, frame, list, number, pairs, segments, text } from "./fields.js";
import { card, facts, notice } from "./parts.js";
import { namesPanel } from "./names_panel.js";
import { serversField } from "./servers.js";
import { target } from "./names.js";

export function originSection(site) {
  const { draft } = site;
  const settings = [
    card("Origin servers", { note: "Where the content is. Backups are asked where no primary answers." }, serversField(draft)),
    card("Origin Protocol Policy", { note: "How Millpond speaks to the origin. It is independent of how visitors speak to Millpond." }, policy(draft)),
    card("Host and TLS name", { note: "The names of a fetch can differ: the address that is dialled, the Host that the origin reads, the server name (SNI) in the TLS handshake." }, names(draft)),
  ];
  const rest = mores([
    ["Certificate check", trust(draft)],
    ["Retries and limits", limits(draft)],
    ["Timeouts", timeouts(draft)],
    ["What the origin is asked", request(draft)],
    ["Health check", health(draft)],
  ]);
  return h("div", { class: "beside" }, h("div", { class: "stack" }, settings), h("div", { class: "beside-panel" }, namesPanel(site)), h("div", { class: "beside-rest" }, rest));
}

/** Sections that most sites leave closed, on one surface. */
export function mores(sections) {
  return h("div", { class: "card mores" }, sections.map(([title, content]) => h("details", { class: "more" }, h("summary", {}, h("h2", {}, title)), h("div", { class: "card-body" }, content))));
}

function policy(draft) {
  const box = h("div", { class: "stack small" });
  const outcome = h("div", { class: "outcome", "aria-live": "polite" });
  const tell = () => replace(outcome, outcomes(draft));
  const draw = () => {
    const protocol = draft.read("origin.protocol");
    const toggle = h("input", { type: "checkbox", role: "switch", class: "switch", id: "policy-switch", name: "origin.protocol.on", checked: Boolean(protocol), onchange: () => {
      draft.write("origin.protocol", toggle.checked ? "https" : null);
      if (!toggle.checked) draft.write("origin.ports", null);
      draw();
    } });
    const head = h("div", { class: "field toggle" }, toggle, h("div", {}, h("label", { for: "policy-switch", class: "field-label" }, "Origin Protocol Policy", h("code", { class: "key" }, "protocol")), h("p", { class: "help" }, protocol ? "On: the protocol below is used, on the port below." : "Off: the port of each server decides. 443 means HTTPS; 80 and any other port mean HTTP.")));
    replace(box, head, protocol && chosen(draft, protocol, draw), outcome);
    tell();
  };
  draft.listeners.add(tell);
  draw();
  return box;
}

function chosen(draft, protocol, draw) {
  const options = [["http", "HTTP", "always plain"], ["https", "HTTPS", "always encrypted"], ["follow", "Follow", "as the visitor's request"]];
  const pick = segments("origin.protocol", "Protocol", options, protocol, (value) => {
    draft.write("origin.protocol", value);
    if (value === "http") draft.write("origin.ports.https", null);
    if (value === "https") draft.write("origin.ports.http", null);
    draw();
    document.querySelector(`input[name="origin.protocol"][value="${value}"]`)?.focus();
  });
  const field = frame(draft, "origin.protocol", { label: "Protocol", isHidden: true }, h("div", {}, pick), { group: true });
  const port = (scheme, standard) => number(draft, `origin.ports.${scheme}`, { label: `${scheme.toUpperCase()} port`, key: `ports.${scheme}`, placeholder: `the server's own, else ${standard}`, min: 1, max: 65535 });
  return [field, h("div", { class: "fields" }, protocol !== "https" && port("http", 80), protocol !== "http" && port("https", 443))];
}

function outcomes(draft) {
  const servers = draft.read("origin.servers") ?? [];
  const rows = servers.map((server) => target(server, draft.now.origin ?? {})).filter(Boolean);
  if (rows.length === 0) return null;
  return [h("h3", {}, "Fetches go to"), h("ul", { class: "targets" }, rows.map((row) => h("li", {}, h("code", {}, row.text), row.note && h("span", { class: "note" }, row.note)))), trap(rows)];
}

function trap(rows) {
  return rows.some((row) => row.trap) && notice("warn", "Plain HTTP on an unusual port", h("p", {}, "With the policy off, every port but 443 means plain HTTP. If the port speaks TLS, switch the policy on and choose HTTPS."));
}

function names(draft) {
  return h(
    "div",
    { class: "fields" },
    text(draft, "origin.host", { label: "Host", key: "host", mono: true, placeholder: "the name that the visitor asked for", help: "The Host header of origin requests." }),
    text(draft, "origin.sni", { label: "SNI", key: "sni", mono: true, placeholder: "the Host, without its port", help: "The server name in the TLS handshake, and the name that the certificate must bear." }),
    h("div", { class: "span" }, list(draft, "origin.common_name_whitelist", { label: "Common Name whitelist", key: "common_name_whitelist", placeholder: "*.oss.example.net", help: "Further names to accept in the origin's certificate, exact or *.suffix. It never rescues a bad chain or an expired certificate." })),
  );
}

function trust(draft) {
  return h(
    "div",
    { class: "fields" },
    choice(draft, "origin.certificate_names", { label: "Names that count", key: "certificate_names", help: "Which names of the certificate are compared with the SNI." }, [["", "subjectAltName, else Common Name (default)"], ["san", "subjectAltName alone"], ["cn", "Common Name alone"]]),
    text(draft, "origin.trust", { label: "Trust", key: "trust", placeholder: "system", help: "“system”, “bundled”, or the path of a CA file (PEM)." }),
    choice(draft, "origin.tls_min", { label: "Lowest TLS version", key: "tls_min" }, [["", "1.2 (default)"], ["1.3", "1.3"]]),
    h("div", { class: "span" }, list(draft, "origin.pin", { label: "Pinned certificates", key: "pin", placeholder: "sha256:…", help: "Accept exactly these, whoever signed them. A pin must be changed with every renewal." })),
    text(draft, "origin.client_certificate.certificate", { label: "Our certificate (mutual TLS)", key: "client_certificate", placeholder: "none", help: "Shown where the origin asks who we are; path of a PEM file." }),
    text(draft, "origin.client_certificate.key", { label: "Its private key", placeholder: "none" }),
  );
}

function limits(draft) {
  return h(
    "div",
    { class: "fields" },
    number(draft, "origin.retries", { label: "Retries", key: "retries", max: 10, placeholder: "2", help: "How often a fetch moves on to another address or server, where that is safe." }),
    number(draft, "origin.max_connections", { label: "Connections to one address", key: "max_connections", max: 65535, placeholder: "0, no limit" }),
    number(draft, "max_fetches", { label: "Fetches at once", key: "max_fetches", min: 1, max: 16384, placeholder: "128" }),
    number(draft, "origin.follow_redirects", { label: "Redirects to follow", key: "follow_redirects", max: 10, placeholder: "0", help: "The origin's redirects that are followed for visitors." }),
  );
}

const TIMES = [["resolve", "Look the name up", "5s"], ["connect", "Connect", "3s"], ["tls_handshake", "TLS handshake", "5s"], ["first_byte", "First byte", "30s"], ["between_bytes", "Between two parts", "30s"], ["head", "Response head, all attempts", "60s"], ["total", "Whole response", "0s, off"]];

function timeouts(draft) {
  return h("div", { class: "fields" }, TIMES.map(([key, label, standard]) => text(draft, `origin.timeouts.${key}`, { label, key, placeholder: standard })));
}

function request(draft) {
  return h(
    "div",
    { class: "fields" },
    text(draft, "origin.request.strip_prefix", { label: "Take off the path", key: "strip_prefix", mono: true, placeholder: "/cdn" }),
    text(draft, "origin.request.path_prefix", { label: "Put before the path", key: "path_prefix", mono: true, placeholder: "/bucket" }),
    h("div", { class: "span" }, pairs(draft, "origin.request.set", { label: "Header fields to set", key: "request.set", help: "In the place of what the visitor sent. Values know $client_ip, $host, $scheme, $request_id and more.", add: "Add a field" }, ["Name", "Value", "X-Real-IP", "$client_ip"])),
    h("div", { class: "span" }, list(draft, "origin.request.remove", { label: "Header fields not sent on", key: "request.remove", placeholder: "Cookie" })),
  );
}

function health(draft) {
  return [
    facts([["Meaning", "Asks every server from time to time; those that fail are left out while another answers."]], "quiet"),
    h("div", { class: "fields" }, text(draft, "origin.health.path", { label: "Path to ask for", key: "health.path", mono: true, placeholder: "none: no check" })),
  ];
}
