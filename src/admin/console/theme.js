// Runs before the first paint, so that a chosen theme does not flash. "auto" follows the system.
(function () {
  "use strict";
  let theme = "auto";
  try {
    theme = localStorage.getItem("millpond.theme") || "auto";
  } catch {
    // Storage may be refused; then the system decides.
  }
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
})();
