// What the Estate page is without it: the same, in the colours that the browser prefers. It
// - follows the colours of Airflow's own pages when it is shown inside them;
// - lets a link to Airflow's own pages leave the frame, which the frame itself may not do;
// - loads the page again now and then, unless somebody is busy with it.
"use strict";

const airflow = (() => {
  try {
    return window.parent !== window && window.parent.document ? window.parent.document : null;
  } catch {
    return null; // somebody else's page
  }
})();

if (airflow) {
  const follow = () => {
    const scheme = getComputedStyle(airflow.documentElement).colorScheme;
    document.documentElement.dataset.theme = scheme.includes("dark") ? "dark" : "light";
  };
  follow();
  new MutationObserver(follow).observe(airflow.documentElement, { attributes: true });

  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[target=_top]");
    if (!link) return;
    event.preventDefault();
    const outside = airflow.createElement("a");
    outside.href = link.href;
    outside.target = event.ctrlKey || event.metaKey || event.shiftKey ? "_blank" : "";
    airflow.body.append(outside);
    outside.click();
    outside.remove();
  });
}

document.addEventListener("DOMContentLoaded", () => {
  const seconds = Number(document.body.dataset.refreshes);
  if (!seconds) return;
  setInterval(() => {
    const isBusy = document.activeElement?.matches("input") || String(document.getSelection());
    if (!document.hidden && !isBusy) location.reload();
  }, 1000 * seconds);
});
