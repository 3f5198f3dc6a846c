/** Makes an input for a field of the request model. */
import { el, field, prose } from "../lib/dom.js";

/** @typedef {import("./lists.js").Lists} Lists */

/**
 * How an input works: `read` returns its value or undefined when it is empty, `suggest` shows its default.
 * @typedef {{
 *   node: HTMLElement,
 *   first?: HTMLElement,
 *   read: () => unknown,
 *   write: (value: unknown) => void,
 *   suggest: (value: unknown) => void,
 * }} Control
 */

export class Input {
  /** @param {LeafField} about @param {Lists} lists */
  constructor(about, lists) {
    this.name = about.name;
    this.about = about;
    this.added = el("span", { class: "added" });
    this.hint = el("span", { class: "hint", hidden: !about.about }, prose(about.about), this.added);
    this.problem = el("span", { class: "problem" });
    const { node, first = node, read, write, suggest } = make(about, lists);
    this.first = first;
    this.read = read;
    this.write = write;
    this.suggest = suggest;
    const label = el("code", {}, about.name);
    this.node =
      about.type === "choices"
        ? el("fieldset", { class: "field wide" }, el("legend", { class: "label" }, label), node, this.hint, this.problem)
        : field(label, node, { hint: this.hint, problem: this.problem, wide: about.type === "text" && about.long });
    this.node.classList.toggle("required", about.required);
    this.node.addEventListener("input", () => this.fail(null));
  }

  /** @param {string | null} [message] */
  fail(message) {
    this.problem.textContent = message ?? "";
    if (message) this.first.setAttribute("aria-invalid", "true");
    else this.first.removeAttribute("aria-invalid");
  }

  /**
   * Add a sentence about the present value to the hint, or remove it.
   * @param {string | null} sentence
   */
  add(sentence) {
    this.added.textContent = sentence;
    this.hint.hidden = !this.about.about && !sentence;
  }

  focus() {
    this.first.focus();
  }

  /** The input that a problem at this path belongs to. @returns {Input} */
  find() {
    return this;
  }
}

/** @param {LeafField} about @param {Lists} lists @returns {Control} */
function make(about, lists) {
  if (lists.has(about.name)) return listed(about, lists);
  if (about.type === "choice") return choice(about.values.map((value) => [String(value), value]));
  if (about.type === "boolean") return choice(Object.entries({ yes: true, no: false }));
  if (about.type === "choices") return choices(about);
  if (about.name === "labels") return labels();
  if (about.type === "list") return list();
  if (about.type === "object" || about.type === "array") return typed(text(), parsed);
  if (about.type === "integer" || about.type === "number") return number(about);
  return typed(about.type === "text" && about.long ? el("textarea", { rows: 3, spellcheck: "false" }) : el("input", { type: "text" }));
}

function text() {
  return el("input", { type: "text", spellcheck: "false" });
}

/**
 * @param {HTMLInputElement | HTMLTextAreaElement} node
 * @param {(text: string) => unknown} read
 * @param {(value: unknown) => string} write
 * @returns {Control}
 */
function typed(node, read = (content) => content, write = plain) {
  return {
    node,
    read: () => (node.value.trim() === "" ? undefined : read(node.value.trim())),
    write: (value) => {
      node.value = write(value);
    },
    suggest: (value) => {
      node.placeholder = value === undefined || value === null ? "" : write(value);
    },
  };
}

/** @param {{ whole: boolean, min?: number, max?: number }} about */
function number({ whole, min, max }) {
  const node = el("input", { type: "number", step: whole ? 1 : "any", min, max, inputmode: whole ? "numeric" : "decimal" });
  return typed(node, Number);
}

/** @param {[string, unknown][]} pairs labels and values @returns {Control} */
function choice(pairs) {
  const open = el("option", { value: "" }, "–");
  const node = el("select", {}, open, ...pairs.map(([label], index) => el("option", { value: String(index) }, label)));
  return {
    node,
    read: () => (node.value === "" ? undefined : pairs[Number(node.value)][1]),
    write: (value) => {
      node.value = String(pairs.findIndex(([, each]) => each === value)).replace("-1", "");
    },
    suggest: (value) => {
      const named = pairs.find(([, each]) => each === value)?.[0];
      open.textContent = named === undefined ? "–" : `${named} (default)`;
    },
  };
}

/** @param {{ name: string, values: unknown[] }} about @returns {Control} */
function choices({ name, values }) {
  const boxes = values.map((value) => el("input", { type: "checkbox", name, value: String(value) }));
  const otherwise = el("span", { class: "hint" });
  const node = el("div", { class: "options" }, ...boxes.map((box) => el("label", {}, box, el("code", {}, box.value))), otherwise);
  return {
    node,
    first: boxes[0],
    read: () => (boxes.some(({ checked }) => checked) ? values.filter((_, at) => boxes[at].checked) : undefined),
    write: (wanted) => {
      boxes.forEach((box, at) => {
        box.checked = [wanted].flat().includes(values[at]);
      });
    },
    suggest: (value) => {
      otherwise.textContent = Array.isArray(value) && value.length ? `default: ${value.join(", ")}` : "";
    },
  };
}

/** An input that offers existing names but takes any. @param {LeafField} about @param {Lists} lists */
function listed(about, lists) {
  const node = el("input", { type: "text", required: about.required, autocomplete: "off", spellcheck: "false" });
  lists.offer(about.name, node);
  return about.type === "list" ? list(node) : typed(node);
}

/** @returns {Control} */
function labels() {
  const node = el("input", { type: "text", placeholder: "key=value, key=value" });
  return { ...typed(node, labelsOf, written), suggest: () => {} };

  /** @param {unknown} value */
  function written(value) {
    return Object.entries(value ?? {})
      .map((pair) => pair.join("="))
      .join(", ");
  }
}

/**
 * "a=1, b=2" -> { a: "1", b: "2" }.
 * @param {string} content
 */
export function labelsOf(content) {
  const pairs = content.split(",").map((pair) => pair.split("="));
  return Object.fromEntries(pairs.map(([key, ...rest]) => [key.trim(), rest.join("=").trim()]));
}

function list(node = text()) {
  return typed(node, itemsOf, (values) => [values].flat().join(", "));
}

/**
 * Items between commas or spaces, whole numbers as numbers. The API refuses items of a wrong type.
 * @param {string} content
 */
export function itemsOf(content) {
  const items = content.split(/[\s,]+/).filter(Boolean);
  return items.map((item) => (/^-?\d+$/.test(item) ? Number(item) : item));
}

/**
 * JSON, or the text itself where it is none: the API refuses that with a better message.
 * @param {string} content
 */
export function parsed(content) {
  try {
    return JSON.parse(content);
  } catch {
    return content;
  }
}

/** @param {unknown} value */
function plain(value) {
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}
