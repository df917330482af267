// Certificates: those that visitors, origins and the operator see, and those that origins show.
import { read } from "./api.js";
import { certificateTable } from "./certificates.js";
import { h, replace } from "./dom.js";
import { card, empty, link, loaded, notice, pageHead } from "./parts.js";
import { plural } from "./format.js";

export function show(context) {
  context.title("Certificates");
  const box = h("div", { class: "stack" });
  replace(context.main, pageHead("Certificates", "Those that this machine shows, and those that origins show. Days are counted by this machine's clock."), box);
  loaded(box, () => read("/certificates", context.signal), ({ items }) => {
    const [clients, origins, toOrigins, door] = ["client", "origin", "to-origin", "admin"].map((side) => items.filter((item) => item.side === side).sort((a, b) => (a.days_left ?? 1e9) - (b.days_left ?? 1e9)));
    const urgent = items.filter((item) => item.state === "expired" || item.state === "ends-soon");
    return [
      urgent.length > 0 && notice(urgent.some((item) => item.state === "expired") ? "bad" : "warn", `${plural(urgent.length, "certificate")} to renew`, h("p", {}, urgent.map((item) => item.names[0] ?? (item.site || "this console")).join(", "))),
      card("Shown to visitors", { flush: true }, clients.length ? certificateTable("Certificates shown to visitors", clients) : empty("certificates", "None yet", "No site has a certificate for visitors; they are served plain HTTP alone.")),
      card("Shown by origins", { flush: true }, origins.length ? certificateTable("Certificates shown by origins", origins) : empty("certificates", "None seen yet", "What an origin shows is asked for under Domain Names, Manage, “The names of a fetch”.", link("Domain Names", "#/domains", { kind: "plain" }))),
      toOrigins.length > 0 && card("Shown to origins", { flush: true }, certificateTable("Certificates shown to origins", toOrigins)),
      door.length > 0 && card("Shown by this console", { flush: true }, certificateTable("Certificate shown by this console", door, { withSite: false })),
    ];
  });
}
