// The console's beginning: session, address, frame. Pages are functions of a context; see `router.js`.
import { call, onApi } from "./api.js";
import { frame } from "./frame.js";
import { h, replace } from "./dom.js";
import { start } from "./router.js";
import { askAgain, exchangeToken, signInPage, wasSignedIn } from "./session.js";

async function begin() {
  const outage = document.getElementById("outage");
  onApi({
    signIn: askAgain,
    reachable: (isReachable) => {
      outage.hidden = isReachable;
      if (!isReachable && !outage.hasChildNodes()) outage.append("Millpond does not answer. What is shown may be old; the page goes on trying.");
    },
  });
  try {
    if (!(await isSignedIn())) await signInPage();
  } catch (refused) {
    await signInPage(refused);
  }
  open();
}

async function isSignedIn() {
  if (await exchangeToken()) return true;
  // Without the mark there has been no session in this browser: asking would only log a refusal.
  if (!wasSignedIn()) return false;
  try {
    await call("GET", "/session", { anonymous: true });
    return true;
  } catch (error) {
    return error.status === 0;
  }
}

function open() {
  const main = h("main", { id: "main", class: "main", tabindex: -1 });
  const around = frame(main);
  replace(document.getElementById("app"), around.elements);
  document.getElementById("app").classList.add("has-nav");
  start(main, around.mark);
}

begin();
