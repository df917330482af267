// The three names panel: Host sent, SNI sent, names accepted, names on the certificate; whether each pair agrees.
import { read, stream } from "./api.js";
import { h, replace } from "./dom.js";
import { plural } from "./format.js";
import { covering, sentNames, target, whitelisted } from "./names.js";
import { badge, busy, button, card, failed, mark, notice, skeleton } from "./parts.js";

/** What origins have shown, by site, for as long as the console is open. */
const asked = new Map();

/** The panel for a site under edit: it judges the draft, also before anything is applied. */
export function namesPanel(site) {
  const { draft, context, name } = site;
  const box = h("div", { class: "stack" }, skeleton(3));
  const state = asked.get(name) ?? { seen: [], rows: new Map(), tried: "", note: "" };
  const draw = () => replace(box, panels(draft, name, state));
  const look = button("Look now", () => busy(look, () => ask(site, state, draw)), { iconName: "refresh", key: "look-now" });
  draft.listeners.add(draw);
  read("/certificates", context.signal).then(
    ({ items }) => {
      state.seen = items.filter((item) => item.side === "origin" && item.site === name && item.names.length > 0);
      draw();
      // Where no fetch has told, the origin is asked once under these settings; the doctor changes nothing.
      const settings = JSON.stringify(draft.before.origin ?? {});
      if (!isUnknown(draft, name, state) || state.tried === settings || draft.changes() > 0) return;
      state.tried = settings;
      look.click();
    },
    (error) => error.name !== "AbortError" && replace(box, failed(error)),
  );
  return card("The names of a fetch", { actions: look, id: "names", note: "What is sent, what is accepted, and what the origin's certificate says. It follows your edits as you type." }, box);
}

async function ask({ name, draft, context }, state, draw) {
  asked.set(name, state);
  const hear = (isEdit) => (line) => {
    if (line.event !== "report") return;
    for (const server of line.report.servers) keep(state, server, isEdit && Boolean(draft.read("origin.trust")));
    state.note = line.report.servers.some((server) => server.sni.length > 0) ? "" : broken(line.report);
  };
  try {
    if (draft.changes() === 0) await stream("/doctor", { target: name }, hear(false), context.signal);
    else {
      // Edits that are not applied yet: each server is asked for by its own address, with the names as they are typed.
      for (const [one, { host, sni }] of fetches(draft, name).filter(([one]) => one.scheme !== "http")) {
        await stream("/doctor", { origin: `https://${one.name}:${one.port}`, sni, host }, hear(true), context.signal);
      }
    }
  } catch (error) {
    if (error.name === "AbortError") state.tried = "";
    state.note = error.message;
  }
  draw();
}

/** Notes what a server shows; asked by its address alone, a CA file of the site's own has not been looked at. */
function keep(state, { server, sni: rows }, isChainOpen) {
  const seen = rows.map((row) => (row.certificate && isChainOpen ? { ...row, certificate: { ...row.certificate, chain_error: null, is_chain_open: true } } : row));
  const older = (state.rows.get(server) ?? []).filter((row) => !seen.some((one) => one.sni === row.sni));
  state.rows.set(server, [...seen, ...older]);
}

function broken(report) {
  const checks = [...report.checks, ...report.servers.flatMap((server) => server.checks)];
  return checks.find((check) => check.outcome === "BROKEN")?.finding?.what ?? "";
}

function panels(draft, name, state) {
  const places = fetches(draft, name);
  if (places.length === 0) return notice("info", "No server yet", h("p", {}, "Enter an origin server above."));
  const note = isUnknown(draft, name, state) && state.note;
  return [note && notice("warn", "The origin could not be asked", h("p", {}, note)), places.map(([one, sent]) => panel(one, sent, state))];
}

/** Every server with the names that a fetch from it sends. */
function fetches(draft, name) {
  const origin = draft.now.origin ?? {};
  const wanted = (draft.now.domains ?? [name])[0]?.replace(/^\*\./, "any.") ?? name;
  const targets = (origin.servers ?? []).map((server) => target(server, origin)).filter(Boolean);
  return targets.map((one) => [one, sentNames(one.table, origin, wanted)]);
}

/** Of some server it is not known what it shows, or not what the site's own settings make of it. */
function isUnknown(draft, name, state) {
  const isSettled = (certificate) => certificate && !(certificate.is_chain_open && draft.changes() === 0);
  return fetches(draft, name).some(([one, sent]) => one.scheme !== "http" && !isSettled(known(one, sent, state)));
}

function panel(one, sent, state) {
  const head = h("h3", { class: "names-server" }, h("code", {}, one.text));
  if (one.scheme === "http") {
    return h("div", { class: "names" }, head, columns(sent, null, true), verdict("idle", "Plain HTTP: no certificate is involved", "Only the Host is sent."));
  }
  const certificate = known(one, sent, state);
  const judged = judge(sent, certificate);
  return h("div", { class: "names" }, head, columns(sent, certificate, false), pairsList(judged.pairs), verdict(...judged.verdict));
}

/** What the server shows for this SNI: from the doctor's matrix, else from the last handshake of a fetch. */
function known(one, sent, state) {
  const address = `${one.name}:${one.port}`;
  const row = state.rows.get(address)?.find((row) => row.sni === sent.sni);
  if (row) return row.certificate ? { ...row.certificate, source: "seen now" } : { refused: row.refused };
  const seen = state.seen.find((item) => item.server === address && (item.sni ?? sent.sni) === sent.sni);
  if (!seen) return null;
  const fits = covering(seen.names, sent.sni) || whitelisted(sent.accepted, seen.names);
  const trouble = seen.state === "expired" ? "it has expired" : fits ? (seen.refusal ?? null) : null;
  return { names: seen.names, issuer: seen.issuer, days_left: seen.days_left, chain_error: trouble, source: "at the last fetch" };
}

function columns(sent, certificate, isPlain) {
  const cell = (title, body, note) => h("div", { class: "name-cell" }, h("dt", {}, title), h("dd", {}, body, note && h("span", { class: "note" }, note)));
  const names = certificate?.names;
  return h(
    "dl",
    { class: "name-cells" },
    cell("Host sent", h("code", {}, sent.host), sent.isHostGiven ? "as set" : "as the visitor asks"),
    !isPlain && cell("SNI sent", h("code", {}, sent.sni), sent.isSniGiven ? "as set" : "the Host"),
    !isPlain && cell("Names accepted", h("ul", { class: "name-list" }, [sent.sni, ...sent.accepted].map((name) => h("li", {}, h("code", {}, name)))), sent.accepted.length ? "SNI and whitelist" : "the SNI"),
    !isPlain && cell("On the certificate", names ? h("ul", { class: "name-list" }, names.slice(0, 6).map((name) => h("li", {}, h("code", {}, name)))) : h("span", { class: "note" }, certificate?.refused ? "none was shown" : "not known yet"), names && [names.length > 6 && `and ${names.length - 6} more, `, certificate.source]),
  );
}

/** Every pair with its outcome, and what follows. */
function judge(sent, certificate) {
  const host = sent.host.replace(/:\d+$/, "");
  const pairs = [[host === sent.sni ? "good" : "info", "Host and SNI", host === sent.sni ? "are the same name" : "differ, as set; that is allowed"]];
  if (!certificate) return { pairs, verdict: ["info", "The certificate for this SNI is not known yet", "Press “Look now” to ask the origin; nothing is changed by it."] };
  if (certificate.refused) {
    pairs.push(["bad", "SNI and server", certificate.refused]);
    return { pairs, verdict: ["bad", "The handshake fails", "Visitors get a 502. The server does not know this name; set another SNI."] };
  }
  const covered = covering(certificate.names, sent.sni);
  const met = whitelisted(sent.accepted, certificate.names);
  pairs.push([covered ? "good" : met ? "info" : "bad", "SNI and certificate", covered ? `${covered} covers the SNI` : `no name on the certificate covers ${sent.sni}`]);
  if (sent.accepted.length) pairs.push([met ? "good" : covered ? "info" : "bad", "Whitelist and certificate", met ? `${met.entry} meets ${met.name}` : "no entry meets a name on the certificate"]);
  const isTrusted = !certificate.chain_error;
  const days = certificate.days_left;
  const chain = isTrusted ? `issued by ${certificate.issuer}${certificate.is_chain_open ? "; the rehearsal looks at the chain" : ""}` : certificate.chain_error;
  pairs.push([certificate.is_chain_open ? "info" : isTrusted ? "good" : "bad", "Chain and dates", chain]);
  if (days !== null && days !== undefined) pairs.push([days < 0 ? "bad" : days < 21 ? "warn" : "good", "Days left", days < 0 ? `it ended ${plural(-days, "day")} ago` : plural(days, "day")]);
  const isGood = (covered || met) && isTrusted && !(days < 0);
  const why = covered || met ? "The names agree, but the certificate itself is not trusted." : "Set the SNI to a name on the certificate, or add one of its names to the whitelist.";
  return { pairs, verdict: isGood ? ["good", "Fetches accept this certificate", ""] : ["bad", "Fetches refuse this certificate", `Visitors get a 502 (tls_certificate_error). ${why}`] };
}

const WORDS = { good: "Agrees", bad: "Does not agree", warn: "Soon to look at", info: "For information" };

function pairsList(pairs) {
  return h("ul", { class: "pairs-judged" }, pairs.map(([kind, title, text]) => h("li", { class: kind }, mark(kind, WORDS[kind]), h("b", {}, title), h("span", {}, text))));
}

function verdict(kind, title, text) {
  return h("div", { class: `verdict ${kind}`, role: "status" }, badge(kind, title), text && h("p", {}, text));
}
