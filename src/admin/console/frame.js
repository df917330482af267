// What surrounds every page: navigation, theme, version, sign-out.
import { read } from "./api.js";
import { h, replace } from "./dom.js";
import { durationText } from "./format.js";
import { icon } from "./icons.js";
import { button } from "./parts.js";
import { signOut } from "./session.js";

const GROUPS = [
  ["", [["overview", "Overview"], ["domains", "Domain Names"]]],
  ["Find the cause", [["diagnose", "Diagnose"], ["failures", "Failures"], ["explain", "Explain a URL"]]],
  ["Operate", [["tasks", "Prefetch & Purge"], ["certificates", "Certificates"], ["settings", "Settings"]]],
];

/** The frame around `main`: its elements, and `mark(section)`, which shows where one is. */
export function frame(main) {
  const links = new Map();
  const failures = h("span", { class: "count", hidden: true });
  const nav = h(
    "nav",
    { class: "nav", "aria-label": "Pages" },
    GROUPS.map(([title, items]) =>
      h(
        "div",
        {},
        title && h("p", { class: "nav-title" }, title),
        h("ul", {}, items.map(([key, text]) => {
          const link = h("a", { href: `#/${key}` }, icon(key), h("span", {}, text), key === "failures" && failures);
          links.set(key, link);
          return h("li", {}, link);
        })),
      ),
    ),
  );
  const version = h("p", { class: "version" });
  const sidebar = h(
    "aside",
    { class: "sidebar", id: "sidebar", "aria-label": "Console" },
    brand(),
    nav,
    h("div", { class: "sidebar-foot" }, themeSwitch(), button("Sign out", signOut, { kind: "quiet", iconName: "out", key: "sign-out" }), version),
  );
  const opener = button("", () => toggle(), { kind: "quiet", iconName: "menu", label: "Menu" });
  opener.setAttribute("aria-controls", "sidebar");
  const veil = h("button", { class: "nav-veil", type: "button", "aria-label": "Close the menu", tabindex: -1, onclick: () => toggle(false) });
  const app = document.getElementById("app");
  const toggle = (isOpen = !app.classList.contains("nav-open")) => {
    const was = app.classList.contains("nav-open");
    app.classList.toggle("nav-open", isOpen);
    opener.setAttribute("aria-expanded", String(isOpen));
    main.inert = isOpen;
    if (isOpen) (sidebar.querySelector("[aria-current]") ?? sidebar.querySelector("a")).focus();
    else if (was && sidebar.contains(document.activeElement)) opener.focus();
  };
  opener.setAttribute("aria-expanded", "false");
  sidebar.addEventListener("keydown", (event) => event.key === "Escape" && toggle(false));
  nav.addEventListener("click", (event) => event.target.closest("a") && toggle(false));
  const mark = (section) => {
    for (const [key, link] of links) {
      if (key === section) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
  };
  keepTold(version, failures);
  return { elements: [h("header", { class: "topbar" }, opener, brand()), sidebar, veil, main], mark };
}

function brand() {
  return h("a", { class: "brand", href: "#/overview" }, h("img", { src: "/icon.svg", alt: "", width: 28, height: 28 }), "Millpond");
}

/** Version and the number of open failures, once a minute. */
async function keepTold(version, failures) {
  try {
    const about = await read("/version");
    replace(version, `${about.name} ${about.version} · up ${durationText(about.uptime_seconds).split(" ").slice(0, 2).join(" ")}`);
    const { items } = await read("/failures");
    const open = items.filter((item) => !item.last_good || item.last_good < item.last).length;
    failures.hidden = open === 0;
    replace(failures, h("span", {}, String(open)), h("span", { class: "visually-hidden" }, " open"));
  } catch {
    // The banner says that nothing answers.
  }
  setTimeout(() => keepTold(version, failures), 60_000);
}

const THEMES = [["auto", "auto", "Theme as the system"], ["light", "sun", "Light theme"], ["dark", "moon", "Dark theme"]];

function themeSwitch() {
  let present = "auto";
  try {
    present = localStorage.getItem("millpond.theme") ?? "auto";
  } catch {
    // The system decides.
  }
  const choose = (theme) => {
    if (theme === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    try {
      localStorage.setItem("millpond.theme", theme);
    } catch {
      // It holds until the page is left.
    }
    for (const one of buttons) one.setAttribute("aria-pressed", String(one.dataset.theme === theme));
  };
  const buttons = THEMES.map(([theme, iconName, label]) =>
    h("button", { type: "button", "data-theme": theme, "aria-pressed": String(theme === present), "aria-label": label, title: label, onclick: () => choose(theme) }, icon(iconName)),
  );
  return h("div", { class: "theme", role: "group", "aria-label": "Theme" }, buttons);
}
