// Origin Fetch: servers, Origin Protocol Policy with ports, Host, SNI, Common Name whitelist, and what they come to; the
// rest of it is in `origin_more.js`.
import { h, replace } from "./dom.js";
import { frame, list, number, segments, text } from "./fields.js";
import { mores } from "./mores.js";
import { namesPanel } from "./names_panel.js";
import { originMore } from "./origin_more.js";
import { card, notice } from "./parts.js";
import { serversField } from "./servers.js";
import { target } from "./names.js";

export function originSection(site) {
  const { draft } = site;
  const settings = [
    card("Origin servers", { note: "Where the content is. Backups are asked where no primary answers." }, serversField(draft)),
    card("Origin Protocol Policy", { note: "How Millpond speaks to the origin. It is independent of how visitors speak to Millpond." }, policy(draft)),
    card("Host and TLS name", { note: "The names of a fetch can differ: the address that is dialled, the Host that the origin reads, the server name (SNI) in the TLS handshake." }, names(draft)),
  ];
  const rest = mores(draft, originMore(draft));
  return h("div", { class: "beside" }, h("div", { class: "stack" }, settings), h("div", { class: "beside-panel" }, namesPanel(site)), h("div", { class: "beside-rest" }, rest));
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
    const head = h("div", { class: "field toggle" }, toggle, h("label", { for: "policy-switch", class: "field-label" }, "Origin Protocol Policy", h("code", { class: "key" }, "protocol")), h("p", { class: "help" }, protocol ? "On: the protocol below is used, on the port below." : "Off: the port of each server decides. 443 means HTTPS; 80 and any other port mean HTTP."));
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

