// The three names panel: Host sent, SNI sent, names accepted, names on the certificate; whether each pair agrees.
import { read, stream } from "./api.js";
import { debounce, h, replace } from "./dom.js";
import { day, plural } from "./format.js";
import { icon } from "./icons.js";
import { covering, judge, namesThatMeet, sentNames, target, whitelisted } from "./names.js";
import { badge, busy, button, card, failed, notice, skeleton } from "./parts.js";

/** What origins have shown, by site, for as long as the console is open. */
const asked = new Map();

/** The panel for a site under edit: it judges the draft, also before anything is applied. */
export function namesPanel(site) {
  const { draft, context, name } = site;
  const box = h("div", { class: "stack" }, skeleton(3));
  const state = asked.get(name) ?? { seen: [], rows: new Map(), tried: "", note: "" };
  const spoken = h("p", { class: "visually-hidden", role: "status" });
  // Said once typing rests, and only what is new.
  const say = debounce(() => {
    const words = [...box.querySelectorAll(".verdict-title")].map((one) => one.textContent).join("; ");
    if (spoken.textContent !== words) spoken.textContent = words;
  }, 800);
  const draw = () => {
    replace(box, panels(site, state));
    say();
  };
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
  return card("The names of a fetch", { actions: look, id: "names", note: "What is sent, what is accepted, and what the origin's certificate says. It follows your edits as you type." }, box, spoken);
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

function panels(site, state) {
  const { draft, name } = site;
  const places = fetches(draft, name);
  if (places.length === 0) return notice("info", "No server yet", h("p", {}, "Enter an origin server above."));
  const note = isUnknown(draft, name, state) && state.note;
  return [note && notice("warn", "The origin could not be asked", h("p", {}, note)), places.map(([one, sent]) => panel(site, one, sent, state))];
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

function panel(site, one, sent, state) {
  const head = h("h3", { class: "names-server" }, h("code", {}, one.text), one.note && h("span", { class: "note" }, one.note));
  if (one.scheme === "http") {
    return h("div", { class: "names" }, head, verdict(["idle", "Plain HTTP: no certificate is involved", "Only the Host is sent."]), cells(sent, null, true));
  }
  const certificate = known(one, sent, state);
  const judged = judge(sent, certificate, site.draft.changes() === 0);
  return h("div", { class: "names" }, head, verdict(judged.verdict, judged.verdict[0] === "bad" && remedies(site, one, sent, certificate, state)), cells(sent, certificate, false), pairsList(judged.pairs));
}

/** What the server shows for this SNI: from the doctor's matrix, else from the last handshake of a fetch. */
function known(one, sent, state) {
  const address = `${one.name}:${one.port}`;
  const row = state.rows.get(address)?.find((row) => row.sni === sent.sni);
  if (row) return row.certificate ? { ...row.certificate, ends: row.certificate.end?.replace(" UTC", "Z").replace(" ", "T"), source: "seen now" } : { refused: row.refused };
  const seen = state.seen.find((item) => item.server === address && (item.sni ?? sent.sni) === sent.sni);
  if (!seen) return null;
  const fits = covering(seen.names, sent.sni) || whitelisted(sent.accepted, seen.names);
  const isOver = seen.state === "expired";
  const trouble = isOver ? "it has expired" : fits ? (seen.refusal ?? null) : null;
  // Where the names do not agree, it may be they or the chain that was refused: the doctor tells.
  const isOpen = !isOver && !fits && Boolean(seen.refusal);
  return { names: seen.names, issuer: seen.issuer, days_left: seen.days_left, ends: seen.not_after, fingerprint: seen.fingerprint, chain_error: trouble, is_chain_open: isOpen, source: "seen at the last fetch" };
}

function cells(sent, certificate, isPlain) {
  const cell = (title, body, note, extra = "") => h("div", { class: `name-cell ${extra}` }, h("dt", {}, title), h("dd", {}, body, note && h("span", { class: "note" }, note)));
  const host = cell("Host sent", h("code", {}, sent.host), sent.isHostGiven ? "as set" : "as the visitor asks");
  if (isPlain) return h("dl", { class: "name-cells" }, host);
  const met = namesThatMeet(sent, certificate?.names ?? []);
  const names = [...(certificate?.names ?? [])].sort((one, other) => met.shown.has(other) - met.shown.has(one));
  const none = h("span", { class: "note" }, certificate?.refused ? "none was shown" : "not known yet");
  return h(
    "dl",
    { class: "name-cells" },
    host,
    cell("SNI sent", h("code", {}, sent.sni), sent.isSniGiven ? "as set" : "the Host"),
    cell("Names accepted", nameList([sent.sni, ...sent.accepted], met.accepted, Boolean(certificate?.names)), sent.accepted.length ? "the SNI and the whitelist" : "the SNI alone"),
    cell("On the certificate", names.length ? nameList(names.slice(0, 6), met.shown, true) : none, names.length > 0 && [names.length > 6 && `and ${names.length - 6} more, `, certificate.source]),
    cell("Days left", daysLeft(certificate), certificate?.ends && ["until ", day(certificate.ends)], "days"),
  );
}

/** Names; a tick at those that agree with one on the other side. */
function nameList(names, met, isJudged) {
  return h("ul", { class: "name-list" }, names.map((name) => h("li", { class: isJudged && met.has(name) ? "met" : "" }, h("code", {}, name), isJudged && met.has(name) && [icon("check"), h("span", { class: "visually-hidden" }, " agrees")])));
}

function daysLeft(certificate) {
  const days = certificate?.days_left;
  if (days === null || days === undefined) return h("span", { class: "note" }, certificate?.refused ? "none was shown" : "not known yet");
  const kind = days < 0 ? "bad" : days < 21 ? "warn" : "good";
  return h("span", { class: `days-number ${kind}` }, days < 21 && icon(days < 0 ? "cross" : "warning"), days < 0 ? `ended ${plural(-days, "day")} ago` : plural(days, "day"));
}

/** Settings with which this server would be accepted, as buttons; they change the draft alone. */
function remedies({ draft, redraw }, one, sent, certificate, state) {
  if (one.table.sni) return null;
  const rows = state.rows.get(`${one.name}:${one.port}`) ?? [];
  const other = rows.find((row) => row.sni && row.sni !== sent.sni && row.certificate?.names_sni && !row.certificate.chain_error && row.certificate.days_left >= 0);
  const trusted = certificate.names && !certificate.chain_error && !certificate.is_chain_open && !(certificate.days_left < 0);
  const change = (text, path, value) => button(text, () => {
    draft.write(path, value);
    redraw();
    document.querySelector(`[name="${path}"]`)?.focus();
  }, { key: `remedy-${path}` });
  const own = [
    other && change(`Set the SNI to ${other.sni}`, "origin.sni", other.sni),
    trusted && certificate.names[0] && change(`Accept ${certificate.names[0]} too`, "origin.common_name_whitelist", [...sent.accepted, certificate.names[0]]),
  ].filter(Boolean);
  return own.length > 0 && h("div", { class: "actions" }, own);
}

/** Every pair: the outcome as mark and word, which two, and why. */
function pairsList(pairs) {
  return h("ul", { class: "pairs-judged", "aria-label": "Which of them agree" }, pairs.map(([kind, word, title, text]) => h("li", { class: kind }, badge(kind, word), h("b", {}, title), h("span", { class: "pair-why" }, text))));
}

const SIGNS = { good: "check", bad: "cross", info: "info", idle: "dash" };

function verdict([kind, title, text], actions) {
  return h("div", { class: `verdict ${kind}` }, icon(SIGNS[kind]), h("div", {}, h("p", { class: "verdict-title" }, title), text && h("p", {}, text), actions));
}
