import { el, field } from "../lib/dom.js";

/**
 * An input for one field of the schema: `read()` gives what was said, undefined for nothing; `write(value)` says it;
 * `suggest(value)` shows what it is otherwise; `fail(message)` shows what is wrong.
 */
export function inputFor(about, datasets) {
  const hint = el("span", { class: "hint" }, about.about);
  const problem = el("span", { class: "problem" });
  const { node, read, write, suggest, focus, beside } = make(about, datasets);
  const box =
    about.type === "choices"
      ? group(about, node, hint, problem)
      : field(el("code", {}, about.name), node, { hint: about.about ? hint : null, problem, wide: about.long });
  if (beside) box.append(beside);
  return {
    name: about.name,
    node: box,
    read,
    write,
    suggest,
    fail(message) {
      problem.textContent = message ?? "";
      if (message) node.setAttribute("aria-invalid", "true");
      else node.removeAttribute("aria-invalid");
    },
    focus: () => (focus ?? node).focus(),
  };
}

function make(about, datasets) {
  if (about.name === "dataset") return listed(about, datasets);
  if (about.type === "choice") return choice(about, about.values.map((value) => [String(value), value]));
  if (about.type === "boolean") return choice(about, [["yes", true], ["no", false]]);
  if (about.type === "choices") return choices(about);
  if (about.type === "object") return labels();
  if (about.type === "array") return json();
  if (about.type === "integer" || about.type === "number") return number(about);
  return about.long ? typed(el("textarea", { rows: 3, spellcheck: "false" })) : typed(el("input", { type: "text" }));
}

function typed(node, read = (text) => text, write = String) {
  return {
    node,
    read: () => (node.value.trim() === "" ? undefined : read(node.value.trim())),
    write: (value) => (node.value = typeof value === "object" && value !== null ? JSON.stringify(value) : write(value)),
    suggest: (value) => (node.placeholder = value === undefined || value === null ? "" : shown(value)),
  };
}

function number({ whole, min, max }) {
  const node = el("input", { type: "number", step: whole ? 1 : "any", min, max, inputmode: whole ? "numeric" : "decimal" });
  return typed(node, Number);
}

function choice(about, pairs) {
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
  const boxes = values.map((value) => el("input", { type: "checkbox", name, value }));
  const node = el("div", { class: "options" }, ...boxes.map((box) => el("label", {}, box, el("code", {}, box.value))));
  return {
    node,
    focus: boxes[0],
    read: () => (boxes.some(({ checked }) => checked) ? boxes.filter(({ checked }) => checked).map(({ value }) => value) : undefined),
    write: (wanted) => boxes.forEach((box) => (box.checked = wanted.includes(box.value))),
    suggest: () => {},
  };
}

function group({ name }, node, hint, problem) {
  return el("fieldset", { class: "field wide" }, el("legend", { class: "label" }, el("code", {}, name)), node, hint, problem);
}

/** A data set of those that there are, or another one by its name. */
function listed(about, datasets) {
  const list = el("datalist", { id: "datasets" }, ...datasets.map(({ name }) => el("option", { value: name })));
  const node = el("input", { type: "text", list: "datasets", required: about.required });
  return { ...typed(node), beside: list };
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

function shown(value) {
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}
