/** A button that opens a panel below it. */
import { el } from "./dom.js";

/**
 * Escape and a click elsewhere close it.
 * @param {string} label
 * @param {Child[]} children
 */
export function menu(label, ...children) {
  const node = el("details", { class: "menu" }, el("summary", { class: "button" }, label), el("div", { class: "panel" }, ...children));
  node.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !node.open) return;
    node.open = false;
    node.querySelector("summary")?.focus();
  });
  node.addEventListener("toggle", () => {
    const close = (/** @type {Event} */ event) => {
      if (event.target instanceof Node && node.contains(event.target)) return;
      node.open = false;
    };
    if (node.open) document.addEventListener("click", close);
    else document.removeEventListener("click", close);
  });
  return node;
}
