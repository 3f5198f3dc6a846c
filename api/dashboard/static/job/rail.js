/** Links to the sections of the job's page; the address keeps the one that was chosen last. */
import { el } from "../lib/dom.js";
import { currentPlace, remember } from "../lib/router.js";

export class Rail {
  /** @param {[string, HTMLElement][]} sections their names and nodes */
  constructor(sections) {
    this.links = sections.map(([name, section]) => {
      const key = name.toLowerCase().replaceAll(" ", "-");
      const link = el("a", { href: addressOf(key) }, name);
      link.addEventListener("click", (event) => {
        if (event.ctrlKey || event.metaKey || event.shiftKey) return;
        event.preventDefault();
        remember(queryOf(key));
        this.show(key);
      });
      return { key, link, section };
    });
    this.node = el("nav", { class: "rail", "aria-label": "Sections" }, ...this.links.map(({ link }) => link));
    // What loads above the section moves it: until the reader scrolls, the page keeps it in view.
    this.wanted = currentPlace().query.get("section");
    if (this.wanted) this.hold();
  }

  update() {
    for (const { link, section } of this.links) link.hidden = section.closest("[hidden]") !== null;
  }

  /** @param {string} key */
  show(key) {
    for (const { key: each, link, section } of this.links) {
      if (each !== key) {
        link.removeAttribute("aria-current");
        continue;
      }
      link.setAttribute("aria-current", "true");
      const details = section.querySelector(":scope > details");
      if (details instanceof HTMLDetailsElement) details.open = true;
      section.scrollIntoView({ block: "start" });
    }
  }

  hold() {
    const sized = new ResizeObserver(() => this.show(this.wanted ?? ""));
    sized.observe(document.body);
    for (const kind of ["wheel", "touchstart", "keydown", "pointerdown"]) {
      addEventListener(kind, () => sized.disconnect(), { once: true, passive: true });
    }
    setTimeout(() => sized.disconnect(), 5000);
  }
}

/** @param {string} key */
function queryOf(key) {
  const { query } = currentPlace();
  query.set("section", key);
  return query;
}

/** @param {string} key */
function addressOf(key) {
  return `${location.hash.split("?")[0]}?${queryOf(key)}`;
}
