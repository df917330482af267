// Signing in: by the address with its token, by the form, and again when a session has ended.
import { call } from "./api.js";
import { h, replace } from "./dom.js";
import { busy, button, dialog, notice } from "./parts.js";

const MARK = "millpond.session";

export function wasSignedIn() {
  try {
    return localStorage.getItem(MARK) === "1";
  } catch {
    return true;
  }
}

function remember(isIn) {
  try {
    if (isIn) localStorage.setItem(MARK, "1");
    else localStorage.removeItem(MARK);
  } catch {
    // Without storage the next visit asks the server.
  }
}

async function signIn(token) {
  await call("POST", "/session", { body: { token }, anonymous: true });
  remember(true);
}

/** Uses the token of a sign-in address once, and takes it out of the address before anything else. False: there is none. */
export async function exchangeToken() {
  const match = /^#token=([^&]+)/.exec(location.hash);
  if (!match) return false;
  history.replaceState(null, "", `${location.pathname}#/overview`);
  await signIn(decodeURIComponent(match[1]));
  return true;
}

export async function signOut() {
  await call("DELETE", "/session", { anonymous: true }).catch(() => undefined);
  remember(false);
  location.hash = "";
  location.reload();
}

/** The whole page asks for the token, and says why if one was refused; resolves once it was right. */
export function signInPage(refused) {
  return new Promise((done) => {
    // The sign-in address opened in this very tab changes no more than the part after #.
    const hear = () => exchangeToken().then((isIn) => isIn && resolve(), (error) => ask(error));
    const resolve = () => {
      window.removeEventListener("hashchange", hear);
      done();
    };
    window.addEventListener("hashchange", hear);
    const ask = (refused) => drawSignIn(resolve, refused);
    ask(refused);
  });
}

function drawSignIn(resolve, refused) {
  const app = document.getElementById("app");
  app.classList.remove("has-nav");
  document.title = "Sign in · Millpond";
  replace(
    app,
    h(
      "main",
      { id: "main", class: "sign-in", tabindex: -1 },
      h(
        "div",
        { class: "sign-in-card" },
        h("img", { src: "/icon.svg", alt: "", width: 48, height: 48 }),
        h("h1", {}, "Sign in to Millpond"),
        h("p", { class: "note" }, "Open the sign-in address that Millpond printed when it started, or paste its token here."),
        form(resolve, refused),
        h("details", { class: "hint" }, h("summary", {}, "Where is the token?"), h("p", {}, "It is printed once, at the first start. With a state directory it is also the second line of the file ", h("code", {}, "token"), " there, which only the user who runs Millpond can read; without one it is a new one at every start.")),
      ),
    ),
  );
  app.querySelector("#token").focus();
}

let asking = null;

/** A session has ended: asks in a dialog, so that the page stays as it is. */
export function askAgain() {
  asking ??= dialog(
    "Sign in again",
    (close) => ({ body: [h("p", { class: "note" }, "Your session has ended. The page stays as it is."), form(() => close(true))], buttons: null }),
    { fixed: true },
  ).finally(() => {
    asking = null;
  });
  return asking;
}

function form(onDone, refused) {
  const problem = h("div", { class: "sign-in-problem", role: "alert" }, refused && notice("bad", wordsFor(refused)));
  const input = h("input", { class: "input mono", type: "password", id: "token", name: "token", autocomplete: "current-password", required: true, "aria-describedby": "token-help" });
  const submit = button("Sign in", null, { kind: "primary", type: "submit", key: "sign-in" });
  const send = async () => {
    replace(problem);
    try {
      await signIn(tokenOf(input.value));
      onDone();
    } catch (error) {
      replace(problem, notice("bad", wordsFor(error)));
      input.select();
    }
  };
  return h(
    "form",
    { class: "sign-in-form", onsubmit: (event) => {
      event.preventDefault();
      busy(submit, send);
    } },
    h("input", { type: "text", name: "username", autocomplete: "username", value: "millpond", hidden: true }),
    h("label", { for: "token", class: "field-label" }, "Token"),
    input,
    h("p", { class: "help", id: "token-help" }, "The whole address will do too."),
    problem,
    submit,
  );
}

/** The token itself, where the whole sign-in address was pasted. */
function tokenOf(text) {
  const match = /#token=([^&\s]+)/.exec(text);
  return match ? decodeURIComponent(match[1]) : text.trim();
}

function wordsFor(error) {
  if (error.status === 401) return "This token is not the right one. It is the text after #token= in the sign-in address.";
  if (error.status === 429) return `Too many attempts. Try again ${error.retryAfter ? `in ${error.retryAfter} s` : "in a minute"}.`;
  return error.message;
}
