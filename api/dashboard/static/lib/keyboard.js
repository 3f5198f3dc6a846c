/** Keys that act on every view, and the dialog that lists them and turns them off. */
import { byId, el } from "./dom.js";

const OFF = "keyboard-off";
// The second key of two follows within this time.
const PAUSE_MS = 1500;
const SEARCH = "[role=search] input[type=search]";

/** @type {Record<string, { does: string, act: () => void }>} */
const KEYS = {
  "/": { does: "Search the jobs", act: search },
  n: { does: "New job", act: () => go("new") },
  "g j": { does: "Go to the jobs", act: () => go("jobs") },
  "g l": { does: "Go to the leaderboard", act: () => go("leaderboard") },
  "g w": { does: "Go to the workers", act: () => go("workers") },
  "?": { does: "Show these keys", act: help },
};

/** Act on keys, except while someone types, and on the button that lists them. */
export function listen() {
  let before = { key: "", at: 0 };
  byId("keyboard").addEventListener("click", help);
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || event.defaultPrevented || isTaken(event.target)) return;
    const keys = before.key && event.timeStamp - before.at < PAUSE_MS ? `${before.key} ${event.key}` : event.key;
    before = { key: event.key === "g" ? "g" : "", at: event.timeStamp };
    if (!Object.hasOwn(KEYS, keys) || localStorage.getItem(OFF)) return;
    event.preventDefault();
    before.key = "";
    KEYS[keys].act();
  });
}

/** @param {EventTarget | null} target */
function isTaken(target) {
  const typing = target instanceof HTMLElement && target.matches("input:not([type=checkbox]), textarea, select");
  return typing || document.querySelector("dialog[open]") !== null;
}

/** @param {string} view */
function go(view) {
  location.hash = `#/${view}`;
}

/** Focus the search of the list, which opens first where another view is shown. */
function search() {
  const main = byId("main");
  const focus = () => {
    const input = /** @type {HTMLElement | null} */ (main.querySelector(SEARCH));
    input?.focus();
    return input !== null;
  };
  if (focus()) return;
  go("jobs");
  const opening = new MutationObserver(() => focus() && opening.disconnect());
  opening.observe(main, { childList: true, subtree: true });
  addEventListener("hashchange", () => addEventListener("hashchange", () => opening.disconnect(), { once: true }), { once: true });
}

function help() {
  const rows = Object.entries(KEYS).flatMap(([keys, { does }]) => [
    el("dt", {}, ...keys.split(" ").flatMap((key, at) => [at ? " " : null, el("kbd", {}, key)])),
    el("dd", {}, does),
  ]);
  const on = el("input", { type: "checkbox", checked: !localStorage.getItem(OFF) });
  on.addEventListener("change", () => (on.checked ? localStorage.removeItem(OFF) : localStorage.setItem(OFF, "1")));
  const close = el("button", { type: "button", on: { click: () => dialog.close() } }, "Close");
  const dialog = el(
    "dialog",
    { class: "panel stack keyboard", "aria-labelledby": "keyboard-title" },
    el("h2", { id: "keyboard-title" }, "Keyboard"),
    el("dl", {}, ...rows),
    el("label", { class: "row" }, on, "These keys act"),
    el("p", { class: "row" }, close),
  );
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}
