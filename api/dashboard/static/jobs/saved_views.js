/** Keeps named views of the list of jobs in this browser: filters, order and columns. */
import { el, fill } from "../lib/dom.js";
import { menu } from "../lib/menu.js";

const KEY = "dartboard.views";
const KEPT = ["q", "kind", "status", "label", "owner", "sort", "columns", "children"];

/** @typedef {{ name: string, query: string }} SavedView */

/** @returns {SavedView[]} */
export function savedViews() {
  try {
    const found = JSON.parse(localStorage.getItem(KEY) ?? "[]");
    return found.filter((/** @type {Partial<SavedView>} */ view) => typeof view?.name === "string" && typeof view.query === "string");
  } catch {
    return [];
  }
}

/**
 * The part of an address that a view keeps.
 * @param {URLSearchParams} query
 */
export function viewQuery(query) {
  return new URLSearchParams([...query].filter(([name, value]) => KEPT.includes(name) && value)).toString();
}

/**
 * A menu of the saved views, in which the present one is saved under a name.
 * @param {() => URLSearchParams} present
 */
export function viewsMenu(present) {
  const list = el("ul", { class: "plain-list" });
  const name = el("input", {
    type: "text",
    required: true,
    maxlength: 60,
    placeholder: "Name of this view",
    "aria-label": "Name of this view",
  });
  const form = el("form", { class: "row nowrap" }, name, el("button", {}, "Save"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const view = { name: name.value.trim(), query: viewQuery(present()) };
    if (!view.name) return;
    keep([...savedViews().filter((each) => each.name !== view.name), view]);
    name.value = "";
  });
  show();
  return menu("Views", list, form);

  function show() {
    const items = savedViews().map((view) => {
      const remove = el("button", { type: "button", class: "plain", "aria-label": `Delete the view ${view.name}` }, "✕");
      remove.addEventListener("click", (event) => {
        event.stopPropagation();
        keep(savedViews().filter((each) => each.name !== view.name));
      });
      return el("li", { class: "row spread" }, el("a", { href: `#/jobs${view.query ? `?${view.query}` : ""}` }, view.name), remove);
    });
    fill(list, ...(items.length ? items : [el("li", { class: "muted" }, "No saved views yet.")]));
  }

  /** @param {SavedView[]} views */
  function keep(views) {
    localStorage.setItem(KEY, JSON.stringify(views));
    show();
  }
}
