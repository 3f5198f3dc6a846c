/** Builds and changes elements, shows notices and announces changes to screen readers. */

/**
 * Make an element. Attributes by name, listeners under `on`; children are elements or text, never markup.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Props} [props]
 * @param {(Child | Child[])[]} children
 */
export function el(tag, props = {}, ...children) {
  return furnished(document.createElement(tag), props, children);
}

/**
 * As `el`, for a part of a drawing.
 * @template {keyof SVGElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Props} [props]
 * @param {(Child | Child[])[]} children
 */
export function svg(tag, props = {}, ...children) {
  return furnished(document.createElementNS("http://www.w3.org/2000/svg", tag), props, children);
}

/**
 * @template {Element} Node
 * @param {Node} node @param {Props} props @param {(Child | Child[])[]} children
 */
function furnished(node, props, children) {
  for (const [name, value] of Object.entries(props)) {
    if (name === "on") {
      for (const [event, listener] of Object.entries(props.on ?? {})) node.addEventListener(event, listener);
    } else if (name === "value" || name === "checked") {
      Object.assign(node, { [name]: value });
    } else if (value === true) {
      node.setAttribute(name, "");
    } else if (value !== null && value !== undefined && value !== false) {
      node.setAttribute(name, String(value));
    }
  }
  node.append(...present(children));
  return node;
}

/**
 * Replace all children of a node.
 * @param {Element} node
 * @param {(Child | Child[])[]} children
 */
export function fill(node, ...children) {
  node.replaceChildren(...present(children));
}

/**
 * Set a text, touching the page only when it differs.
 * @param {Element} node
 * @param {string | null | undefined} value
 */
export function text(node, value) {
  const wanted = value ?? "";
  if (node.textContent !== wanted) node.textContent = wanted;
}

/**
 * An element of index.html.
 * @param {string} id
 */
export function byId(id) {
  return /** @type {HTMLElement} */ (document.getElementById(id));
}

/**
 * The content of a meta element of index.html.
 * @param {string} name
 */
export function meta(name) {
  return document.querySelector(`meta[name=${name}]`)?.getAttribute("content") ?? "";
}

/**
 * A function that runs `work` once in the next frame, however often it is called before.
 * @param {() => void} work
 * @param {AbortSignal} signal
 */
export function batched(work, signal) {
  let requested = false;
  return () => {
    if (requested) return;
    requested = true;
    // A hidden page gets no frames and needs no painting.
    requestAnimationFrame(() => {
      requested = false;
      if (!signal.aborted) work();
    });
  };
}

/**
 * Announce to screen readers a change that the page shows without words.
 * @param {string} message
 */
export function announce(message) {
  text(byId("announcement"), message);
}

/**
 * Show a message in the corner until it is dismissed; a good one disappears after a few seconds.
 * @param {string} message
 */
export function notice(message, { good = false } = {}) {
  const dismiss = el("button", { type: "button", class: "plain", "aria-label": "Dismiss" }, "✕");
  const box = el("div", { class: good ? "notice good" : "notice" }, el("span", {}, message), dismiss);
  dismiss.addEventListener("click", () => box.remove());
  if (good) setTimeout(() => box.remove(), 6000);
  const notices = byId("notices");
  while (notices.childElementCount > 3) notices.firstElementChild?.remove();
  notices.append(box);
}

/**
 * A labelled input with an optional hint and a place for a problem. The input gets an id if it has none.
 * @param {Child} label
 * @param {HTMLElement} input
 * @param {{ hint?: HTMLElement | null, problem?: HTMLElement | null, wide?: boolean }} [options]
 */
export function field(label, input, { hint = null, problem = null, wide = false } = {}) {
  input.id ||= `f-${++fields}`;
  const described = [hint, problem].filter((part) => part !== null);
  described.forEach((part, index) => {
    part.id = `${input.id}-${index}`;
  });
  if (described.length) input.setAttribute("aria-describedby", described.map((part) => part.id).join(" "));
  return el("div", { class: wide ? "field wide" : "field" }, el("label", { for: input.id }, label), input, hint, problem);
}

/**
 * A schema's description, with the names between backticks as code.
 * @param {string} words
 */
export function prose(words) {
  return words.split("`").map((part, at) => (at % 2 ? el("code", {}, part) : part));
}

/**
 * A panel that scrolls sideways by itself, also with the keyboard, when its content is wider than the screen.
 * @param {string} label
 * @param {Child[]} children
 */
export function scrolling(label, ...children) {
  return el("div", { class: "panel flush", tabindex: "0", role: "region", "aria-label": label }, ...children);
}

/**
 * A table of these column heads; rows are added to `body`.
 * @param {Child[]} heads
 * @param {HTMLElement} body
 */
export function table(heads, body, { class: style = "small" } = {}) {
  return el("table", { class: style }, el("thead", {}, el("tr", {}, ...heads.map((head) => el("th", { scope: "col" }, head)))), body);
}

/**
 * Have the browser save a text as a file.
 * @param {string} name @param {string} type its media type @param {string} content
 */
export function save(name, type, content) {
  const link = URL.createObjectURL(new Blob([content], { type }));
  el("a", { href: link, download: name }).click();
  URL.revokeObjectURL(link);
}

let fields = 0;

/** @param {(Child | Child[])[]} children */
function present(children) {
  return children.flat().filter((child) => child !== null && child !== undefined && child !== false);
}
