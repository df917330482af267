// HTTPS between visitors and Millpond: the certificate that they see.
import { read } from "./api.js";
import { certificateTable } from "./certificates.js";
import { h } from "./dom.js";
import { choice, text, toggle } from "./fields.js";
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
    card("Always HTTPS", { note: "Both need a certificate above, and that all of the site works over https." }, h("div", { class: "fields" }, toggle(draft, "force_https", { label: "Send visitors to https", key: "force_https", help: "Plain requests are redirected: 301, or 308 where the method must stay." }), hsts(draft))),
  ];
}

const HSTS = "Strict-Transport-Security";
const PERIODS = [["max-age=86400", "for a day, to try it"], ["max-age=31536000", "for a year"], ["max-age=31536000; includeSubDomains", "for a year, with all names below"], ["max-age=63072000; includeSubDomains; preload", "for two years, with all names below, preloaded"], ["max-age=0", "no longer: browsers forget it"]];

/** HSTS (RFC 6797) is a field of responses; it stands under `[site.response]`, in whatever case it is written there. */
function hsts(draft) {
  const set = draft.read("response.set") ?? {};
  const name = Object.keys(set).find((name) => name.toLowerCase() === HSTS.toLowerCase()) ?? HSTS;
  const own = set[name];
  const options = [["", "not sent (default)"], ...PERIODS, ...(own && !PERIODS.some(([value]) => value === own) ? [[own, own]] : [])];
  return choice(draft, `response.set.${name}`, { label: "HSTS: browsers keep to https", key: "response.set", help: `Sends ${HSTS}. Browsers that have seen it refuse plain HTTP for so long, and certificates with errors.` }, options);
}
