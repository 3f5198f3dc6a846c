/** Makes the form's groups of inputs from the fields of a request model. */
import { el, fill, prose } from "../lib/dom.js";
import { Input } from "./inputs.js";

/**
 * @typedef {import("./lists.js").Lists} Lists
 * @typedef {Input | Part | Rows} AnyInput
 * @typedef {(string | number)[]} Path
 */

/** @param {Field} about @param {Lists} lists @returns {AnyInput} */
function inputOf(about, lists) {
  if (about.type === "group") return new Part(about, lists);
  if (about.type === "rows") return new Rows(about, lists);
  return new Input(about, lists);
}

/** The inputs of one object: `leaves` are its own values, `parts` are objects within it. */
export class Group {
  /** @param {GroupField & { required?: boolean, nullable?: boolean, open?: boolean }} about @param {Lists} lists */
  constructor(about, lists) {
    this.name = about.name;
    this.required = about.required ?? false;
    this.open = about.open ?? false;
    /** Values of an open object that have no input here. @type {Record<string, unknown>} */
    this.others = {};
    this.nullable = about.nullable ?? false;
    /** @type {AnyInput[]} */
    this.inputs = about.fields.map((field) => inputOf(field, lists));
    this.leaves = this.inputs.filter((input) => input instanceof Input);
    this.parts = this.inputs.filter((input) => input instanceof Part);
    this.first = about.first.map((name) => this.input(name)).filter((input) => input !== undefined);
    const others = this.inputs.filter((input) => !this.first.includes(input));
    this.rest = others.filter((input) => input instanceof Input || input.nullable);
    /** @type {AnyInput[]} */
    const nested = [...this.first, ...others].filter((input) => !(input instanceof Input || this.rest.includes(input)));
    this.grid = gridOf(this.first.filter((input) => input instanceof Input));
    /** @type {HTMLElement[]} */
    this.below = nested.map(({ node }) => node);
    this.more = this.rest.length ? moreOf(this.rest) : null;
  }

  /** @param {string} name */
  input(name) {
    return this.inputs.find((input) => input.name === name);
  }

  /** @param {string} name */
  leaf(name) {
    return this.leaves.find((input) => input.name === name);
  }

  /**
   * The values of the filled and visible inputs; undefined if there are none and the object is optional, or null without.
   * @returns {Record<string, unknown> | undefined}
   */
  read() {
    const given = this.inputs
      .filter(({ node }) => !node.hidden)
      .map((input) => [input.name, input.read()])
      .concat(Object.entries(this.others))
      .filter(([, value]) => value !== undefined);
    const isFilled = this.nullable ? given.some(([, value]) => !isEmpty(value)) : given.length > 0;
    return isFilled || this.required ? Object.fromEntries(given) : undefined;
  }

  /** @param {unknown} values an object, or undefined */
  write(values) {
    const given = new Map(Object.entries(values ?? {}));
    for (const input of this.inputs) if (given.get(input.name) !== undefined) input.write(given.get(input.name));
    if (this.open) this.others = Object.fromEntries([...given].filter(([name]) => !this.input(name)));
    if (this.more) this.more.open = this.rest.some((input) => input.read() !== undefined);
  }

  clear() {
    for (const input of this.inputs) {
      if (input instanceof Input) input.fail(null);
      else input.clear();
    }
  }

  /**
   * The input at this place of the body, or the last group on the way there.
   * @param {Path} path
   * @returns {AnyInput | Group}
   */
  find([name, ...path]) {
    const input = this.inputs.find((each) => each.name === name);
    if (input) return input.find(path);
    return path.length ? this.find(path) : this;
  }

  focus() {
    (this.first[0] ?? this.inputs[0]).focus();
  }
}

/** Whether this is an object without fields, as a required part is left unfilled. @param {unknown} value */
function isEmpty(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !Object.keys(value).length;
}

/** @param {Input[]} inputs */
function gridOf(inputs) {
  return el("div", { class: "form-grid" }, ...inputs.map(({ node }) => node));
}

/** The inputs that a form shows on demand: values, then objects. @param {AnyInput[]} inputs */
function moreOf(inputs) {
  const leaves = inputs.filter((input) => input instanceof Input);
  const parts = inputs.filter((input) => !(input instanceof Input));
  return el("details", {}, el("summary", {}, "All settings"), gridOf(leaves), ...parts.map(({ node }) => node));
}

/** An object within another, with its name as a heading. */
export class Part extends Group {
  /** @param {GroupField & { required?: boolean, nullable?: boolean, open?: boolean, about?: string }} about @param {Lists} lists */
  constructor(about, lists, label = about.name) {
    super(about, lists);
    this.problem = el("p", { class: "problem" });
    const title = el("h2", { id: `part-${++parts}` }, el("code", {}, label));
    const hint = about.about ? el("p", { class: "hint" }, prose(about.about)) : null;
    this.also = el("p", { class: "hint" });
    this.header = el("header", {}, title);
    /** @type {HTMLElement} */
    this.node = el(
      "section",
      { class: "panel stack part", role: "group", "aria-labelledby": title.id },
      el("div", {}, this.header, hint),
      this.problem,
      this.grid,
      this.also,
      ...this.below,
      this.more,
    );
    this.node.addEventListener("input", () => this.fail(null));
  }

  /** @param {string | null} [message] */
  fail(message) {
    this.problem.textContent = message ?? "";
  }

  /** @override @param {unknown} values */
  write(values) {
    super.write(values);
    const others = Object.entries(this.others).map(([name, value]) => `${name}: ${JSON.stringify(value)}`);
    this.also.textContent = others.length ? `and ${others.join(", ")}` : "";
  }

  /** @override */
  clear() {
    this.fail(null);
    super.clear();
  }
}

let parts = 0;

/** A list of objects. It starts with the smallest number that the API accepts. */
class Rows {
  /** @param {Extract<Field, { type: "rows" }>} about @param {Lists} lists */
  constructor(about, lists) {
    this.name = about.name;
    this.nullable = false;
    this.about = about;
    this.lists = lists;
    /** @type {Part[]} */
    this.rows = [];
    this.problem = el("p", { class: "problem" });
    this.list = el("div", { class: "stack" });
    this.more = el("button", { type: "button", on: { click: () => this.add().focus() } }, `Add to ${about.name}`);
    this.node = el(
      "section",
      { class: "stack", role: "group", "aria-label": about.name },
      this.problem,
      this.list,
      el("div", { class: "row" }, this.more),
    );
    this.node.addEventListener("input", () => this.fail(null));
    this.write([]);
  }

  add() {
    const label = `${this.name} ${this.rows.length}`;
    const part = new Part({ ...this.about.row, required: true }, this.lists, label);
    const remove = el("button", { type: "button", class: "plain" }, "Remove", el("span", { class: "unseen" }, ` ${label}`));
    remove.addEventListener("click", () => this.remove(part));
    part.header.append(remove);
    this.rows.push(part);
    this.show();
    return part;
  }

  /**
   * Remove a row; the others are numbered again.
   * @param {Part} part
   */
  remove(part) {
    const values = this.rows.filter((row) => row !== part).map((row) => row.read());
    this.rows = [];
    this.write(values);
    this.show();
    this.more.focus();
  }

  show() {
    fill(this.list, ...this.rows.map(({ node }) => node));
  }

  /** @returns {(object | undefined)[]} */
  read() {
    return this.rows.map((row) => row.read());
  }

  /** @param {unknown} values a list of objects */
  write(values) {
    const given = Array.isArray(values) ? values : [];
    while (this.rows.length < Math.max(given.length, this.about.least)) this.add();
    given.forEach((value, at) => {
      this.rows[at].write(value);
    });
  }

  /** @param {string | null} [message] */
  fail(message) {
    this.problem.textContent = message ?? "";
  }

  clear() {
    this.fail(null);
    for (const row of this.rows) row.clear();
  }

  /**
   * @param {Path} path
   * @returns {AnyInput | Group}
   */
  find([place, ...path]) {
    return this.rows[Number(place)]?.find(path) ?? this;
  }

  focus() {
    this.rows[0]?.focus();
  }
}
