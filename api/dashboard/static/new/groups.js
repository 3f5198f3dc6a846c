import { el, fill, prose } from "../lib/dom.js";
import { Input } from "./inputs.js";

function inputOf(about, lists) {
  if (about.type === "group") return new Part(about, lists);
  if (about.type === "rows") return new Rows(about, lists);
  return new Input(about, lists);
}

/** The inputs of one object's fields: `leaves` are its own, `parts` are objects again. */
export class Group {
  constructor(about, lists) {
    this.name = about.name;
    this.about = about;
    this.inputs = about.fields.map((field) => inputOf(field, lists));
    this.leaves = this.inputs.filter((input) => input instanceof Input);
    const nodes = (inputs) => inputs.map(({ node }) => node);
    this.first = about.first.map((name) => this.input(name)).filter(Boolean);
    const others = this.inputs.filter((input) => !this.first.includes(input));
    this.parts = [...this.first, ...others].filter((input) => !(input instanceof Input));
    this.rest = others.filter((input) => input instanceof Input);
    this.grid = el("div", { class: "form-grid" }, ...nodes(this.first.filter((input) => input instanceof Input)));
    this.below = nodes(this.parts);
    this.more = this.rest.length
      ? el("details", {}, el("summary", {}, "All settings"), el("div", { class: "form-grid" }, ...nodes(this.rest)))
      : null;
  }

  input(name) {
    return this.inputs.find((input) => input.name === name);
  }

  /** What was said; undefined for nothing, where the service can do without. */
  read() {
    const said = this.inputs.map((input) => [input.name, input.read()]).filter(([, value]) => value !== undefined);
    return said.length || this.about.required ? Object.fromEntries(said) : undefined;
  }

  write(values) {
    for (const input of this.inputs) if (values?.[input.name] !== undefined) input.write(values[input.name]);
    if (this.more) this.more.open = this.rest.some((input) => input.read() !== undefined);
  }

  clear() {
    this.inputs.forEach((input) => (input instanceof Input ? input.fail(null) : input.clear()));
  }

  /** The input at this place of the body, or the last group on the way there. */
  find([name, ...path]) {
    const input = this.input(name);
    if (input) return input.find(path);
    return path.length ? this.find(path) : this;
  }

  focus() {
    (this.first[0] ?? this.inputs[0]).focus();
  }
}

/** An object within another one, with its name above it. */
class Part extends Group {
  constructor(about, lists, label = about.name) {
    super(about, lists);
    this.problem = el("p", { class: "problem" });
    const title = el("h2", { id: `part-${++parts}` }, el("code", {}, label));
    const hint = about.about ? el("p", { class: "hint" }, prose(about.about)) : null;
    this.header = el("header", {}, title);
    this.node = el(
      "section",
      { class: "panel stack part", role: "group", "aria-labelledby": title.id },
      el("div", {}, this.header, hint),
      this.problem,
      this.grid,
      ...this.below,
      this.more,
    );
  }

  fail(message) {
    this.problem.textContent = message ?? "";
  }

  clear() {
    this.fail(null);
    super.clear();
  }
}

let parts = 0;

/** A list of objects: at first as many as there have to be. */
class Rows {
  constructor(about, lists) {
    this.name = about.name;
    this.about = about;
    this.lists = lists;
    this.rows = [];
    this.problem = el("p", { class: "problem" });
    this.list = el("div", { class: "stack" });
    const add = el("button", { type: "button", on: { click: () => this.add().focus() } }, `Add to ${about.name}`);
    this.node = el("section", { class: "stack", role: "group", "aria-label": about.name }, this.problem, this.list, el("div", { class: "row" }, add));
    while (this.rows.length < about.least) this.add();
  }

  add() {
    const { row } = this.about;
    const part = new Part({ ...row, required: true }, this.lists, `${this.name} ${this.rows.length}`);
    const remove = el("button", { type: "button", class: "plain" }, "Remove", el("span", { class: "unseen" }, ` ${this.name} ${this.rows.length}`));
    remove.addEventListener("click", () => this.remove(part));
    part.header.append(remove);
    this.rows.push(part);
    this.show();
    return part;
  }

  /** The others move up: the service counts them in their order. */
  remove(part) {
    const values = this.rows.filter((row) => row !== part).map((row) => row.read());
    this.rows = [];
    this.write(values);
    while (this.rows.length < this.about.least) this.add();
    this.show();
    this.node.querySelector("button:not(.plain)").focus();
  }

  show() {
    fill(this.list, ...this.rows.map(({ node }) => node));
  }

  read() {
    return this.rows.map((row) => row.read());
  }

  write(values) {
    while (this.rows.length < values.length) this.add();
    values.forEach((value, at) => this.rows[at].write(value));
  }

  fail(message) {
    this.problem.textContent = message ?? "";
  }

  clear() {
    this.fail(null);
    this.rows.forEach((row) => row.clear());
  }

  find([place, ...path]) {
    return this.rows[place]?.find(path) ?? this;
  }

  focus() {
    this.rows[0]?.focus();
  }
}
