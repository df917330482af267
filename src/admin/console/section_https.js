// HTTPS between visitors and Millpond: the certificate that they see.
import { read } from "./api.js";
import { certificateTable } from "./certificates.js";
import { h } from "./dom.js";
import { text, toggle } from "./fields.js";
import { card, empty, loaded } from "./parts.js";

export function httpsSection({ draft, name, context }) {
  const box = h("div");
  loaded(box, () => read("/certificates", context.signal), ({ items }) => {
    const mine = items.filter((item) => item.side === "client" && item.site === name);
    return mine.length ? certificateTable("Certificates that visitors see", mine, { withSite: false }) : empty("certificates", "No certificate yet", "Without one the site's names are unknown on https. Give the paths of a certificate and its key below.");
  });
  return [
    card("In use", { flush: true }, box),
    card(
      "Certificate",
      { note: "Files on the machine that runs Millpond. Paths are relative to the folder of the configuration file; both are read again with every reload." },
      h("div", { class: "fields" }, text(draft, "https.certificate", { label: "Certificate chain (PEM)", key: "https.certificate", mono: true, placeholder: "certs/example.com.pem", help: "The site's own certificate first." }), text(draft, "https.key", { label: "Private key (PEM)", key: "https.key", mono: true, placeholder: "certs/example.com.key" })),
    ),
    card("Plain HTTP", {}, toggle(draft, "force_https", { label: "Send visitors to https", key: "force_https", help: "Plain requests are redirected: 301, or 308 where the method must stay." })),
  ];
}
