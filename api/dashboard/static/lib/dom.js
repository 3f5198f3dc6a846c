/** Make an element. Attributes by name, listeners under `on`; children are elements or text, never markup. */
export function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (name === "on") {
      for (const [event, listener] of Object.entries(value)) node.addEventListener(event, listener);
    } else if (name === "value" || name === "checked") {
      node[name] = value;
    } else if (value === true) {
      node.setAttribute(name, "");
    } else if (value !== null && value !== undefined && value !== false) {
      node.setAttribute(name, value);
    }
  }
  node.append(...shown(children));
  return node;
}

/** Put these children in the place of all others. */
export function fill(node, ...children) {
  node.replaceChildren(...shown(children));
}

/** Set a text, touching the page only when it differs. */
export function text(node, value) {
  const wanted = value ?? "";
  if (node.textContent !== wanted) node.textContent = wanted;
}

/** A function that runs `work` once in the next frame, however often it is called before. */
export function batched(work, signal) {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    // A frame does not come while the page is hidden, and nothing has to be painted then.
    requestAnimationFrame(() => {
      asked = false;
      if (!signal.aborted) work();
    });
  };
}

/** Tell a screen reader something that the page shows without words of its own. */
export function say(message) {
  text(document.getElementById("said"), message);
}

/** Show a message in the corner until it is dismissed, a good one for a few seconds. */
export function notice(message, { good = false } = {}) {
  const dismiss = el("button", { type: "button", class: "plain", "aria-label": "Dismiss" }, "✕");
  const box = el("div", { class: good ? "notice good" : "notice" }, el("span", {}, message), dismiss);
  dismiss.addEventListener("click", () => box.remove());
  if (good) setTimeout(() => box.remove(), 6000);
  const notices = document.getElementById("notices");
  while (notices.childElementCount > 3) notices.firstChild.remove();
  notices.append(box);
}

/** A labelled input: `input` gets an id that the label names. */
export function field(label, input, { hint = null, problem = null, wide = false } = {}) {
  input.id ||= `f-${++fields}`;
  const described = [hint, problem].filter(Boolean);
  described.forEach((part, index) => (part.id = `${input.id}-${index}`));
  if (described.length) input.setAttribute("aria-describedby", described.map((part) => part.id).join(" "));
  return el("div", { class: wide ? "field wide" : "field" }, el("label", { for: input.id }, label), input, hint, problem);
}

/** A description as the schema has it: names stand between backticks there. */
export function prose(words) {
  return words.split("`").map((part, at) => (at % 2 ? el("code", {}, part) : part));
}

/** What may be wider than the screen: it scrolls by itself, with the keyboard, too. */
export function scrolling(label, ...children) {
  return el("div", { class: "panel flush", tabindex: "0", role: "region", "aria-label": label }, ...children);
}

let fields = 0;

function shown(children) {
  return children.flat().filter((child) => child !== null && child !== undefined && child !== false);
}
