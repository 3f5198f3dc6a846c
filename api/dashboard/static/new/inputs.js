import { el, field, prose } from "../lib/dom.js";

/**
 * An input for one field of the schema: `read()` gives what was said, undefined for nothing; `write(value)` says it;
 * `suggest(value)` shows what it is otherwise; `fail(message)` shows what is wrong; `find(path)` is where that belongs.
 */
export class Input {
  constructor(about, lists) {
    this.name = about.name;
    this.about = about;
    const hint = el("span", { class: "hint" }, prose(about.about));
    this.problem = el("span", { class: "problem" });
    const { node, first = node, read, write, suggest } = make(about, lists);
    Object.assign(this, { first, read, write, suggest });
    this.node =
      about.type === "choices"
        ? fieldset(about, node, hint, this.problem)
        : field(el("code", {}, about.name), node, { hint: about.about ? hint : null, problem: this.problem, wide: about.long });
  }

  fail(message) {
    this.problem.textContent = message ?? "";
    if (message) this.first.setAttribute("aria-invalid", "true");
    else this.first.removeAttribute("aria-invalid");
  }

  focus() {
    this.first.focus();
  }

  find() {
    return this;
  }
}

function make(about, lists) {
  if (lists.has(about.name)) return listed(about, lists);
  if (about.type === "choice") return choice(about.values.map((value) => [String(value), value]));
  if (about.type === "boolean") return choice([["yes", true], ["no", false]]);
  if (about.type === "choices") return choices(about);
  if (about.type === "object") return about.name === "labels" ? labels() : json();
  if (about.type === "list") return list();
  if (about.type === "array") return json();
  if (about.type === "integer" || about.type === "number") return number(about);
  return about.long ? typed(el("textarea", { rows: 3, spellcheck: "false" })) : typed(el("input", { type: "text" }));
}

function typed(node, read = (text) => text, write = plain) {
  return {
    node,
    read: () => (node.value.trim() === "" ? undefined : read(node.value.trim())),
    write: (value) => (node.value = write(value)),
    suggest: (value) => (node.placeholder = value === undefined || value === null ? "" : write(value)),
  };
}

function number({ whole, min, max }) {
  const node = el("input", { type: "number", step: whole ? 1 : "any", min, max, inputmode: whole ? "numeric" : "decimal" });
  return typed(node, Number);
}

function choice(pairs) {
  const open = el("option", { value: "" }, "–");
  const node = el("select", {}, open, ...pairs.map(([label], index) => el("option", { value: String(index) }, label)));
  return {
    node,
    read: () => (node.value === "" ? undefined : pairs[Number(node.value)][1]),
    write: (value) => (node.value = String(pairs.findIndex(([, each]) => each === value)).replace("-1", "")),
    suggest: (value) => {
      const named = pairs.find(([, each]) => each === value)?.[0];
      open.textContent = named === undefined ? "–" : `${named} (unless said)`;
    },
  };
}

function choices({ name, values }) {
  const boxes = values.map((value) => el("input", { type: "checkbox", name, value: String(value) }));
  const otherwise = el("span", { class: "hint" });
  const node = el("div", { class: "options" }, ...boxes.map((box) => el("label", {}, box, el("code", {}, box.value))), otherwise);
  return {
    node,
    first: boxes[0],
    read: () => (boxes.some(({ checked }) => checked) ? values.filter((_, at) => boxes[at].checked) : undefined),
    write: (wanted) => boxes.forEach((box, at) => (box.checked = [wanted].flat().includes(values[at]))),
    suggest: (value) => (otherwise.textContent = value?.length ? `${value.join(", ")} unless said` : ""),
  };
}

function fieldset({ name }, node, hint, problem) {
  return el("fieldset", { class: "field wide" }, el("legend", { class: "label" }, el("code", {}, name)), node, hint, problem);
}

/** One of those that there are, or another by its name. */
function listed(about, lists) {
  const node = el("input", { type: "text", required: about.required, autocomplete: "off", spellcheck: "false" });
  lists.offer(about.name, node);
  // Several stand with commas between them.
  return about.type === "list" ? list(node) : typed(node);
}

function labels() {
  const pairs = (text) =>
    Object.fromEntries(text.split(",").map((pair) => pair.split("=")).map(([key, ...rest]) => [key.trim(), rest.join("=").trim()]));
  const node = el("input", { type: "text", placeholder: "key=value, key=value" });
  return {
    ...typed(node, pairs),
    write: (value) => (node.value = Object.entries(value).map((pair) => pair.join("=")).join(", ")),
    suggest: () => {},
  };
}

function list(node = el("input", { type: "text", spellcheck: "false" })) {
  // What is no number goes to the service as it is, which says what it wants.
  const item = (text) => (/^-?\d+$/.test(text) ? Number(text) : text);
  return typed(node, (text) => text.split(/[\s,]+/).filter(Boolean).map(item), (values) => [values].flat().join(", "));
}

function json() {
  const node = el("input", { type: "text", spellcheck: "false" });
  return typed(node, (text) => {
    try {
      return JSON.parse(text);
    } catch {
      return text; // the service says what it wants
    }
  });
}

function plain(value) {
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}
