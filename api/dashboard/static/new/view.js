import { el, fill, notice } from "../lib/dom.js";
import { get, post, wordsFor } from "../lib/http.js";
import { remember } from "../lib/router.js";
import { inputFor } from "./inputs.js";
import { overrides } from "./overrides.js";
import { FIRST, fieldsOf } from "./schema.js";

const COLLECTIONS = { search: "/searches", evaluation: "/evaluations", score: "/scores" };
const SAY = { search: "Search a cell", evaluation: "Train a cell", score: "Score a checkpoint" };

/** A job's form, made from the schema: what is left empty comes from the preset, which stands there in grey. */
export async function newView(main, { query }, signal) {
  const [{ items: datasets }, { items: presets }, from] = await Promise.all([
    get("/datasets", { signal }),
    get("/presets", { signal }),
    query.get("from") ? get(`/jobs/${encodeURIComponent(query.get("from"))}`, { signal }) : null,
  ]);
  const said = from ? overrides(from, presets) : Object.fromEntries(query);
  const frame = { kind: from?.kind ?? query.get("kind") ?? "search", family: said.family ?? "cnn" };
  if (!(frame.kind in COLLECTIONS)) frame.kind = "search";
  let inputs = [];

  const form = el("form", { class: "stack", novalidate: true });
  const summary = el("p", { class: "problem", role: "alert" });
  fill(
    main,
    el(
      "div",
      { class: "head" },
      el("div", {}, el("h1", {}, from ? `Clone of ${from.name ?? from.id}` : "New job"), el("p", { class: "muted" }, "What is left empty comes from the preset.")),
      el("div", { class: "row" }, choice("kind", Object.keys(COLLECTIONS)), choice("family", ["cnn", "rnn"])),
    ),
    form,
  );
  form.addEventListener("submit", submit);
  form.addEventListener("input", () => suggest());
  await build(said);

  async function build(values) {
    const fields = await fieldsOf(frame.kind, frame.family, signal);
    const fitting = datasets.filter(({ kind, state }) => state === "ready" && (kind === "text") === (frame.family === "rnn"));
    inputs = fields.map((about) => ({ ...inputFor(about, frame.kind === "score" ? datasets : fitting), about }));
    for (const input of inputs) if (input.name in values) input.write(values[input.name]);
    const first = FIRST[frame.kind].map((name) => inputs.find((input) => input.name === name)).filter(Boolean);
    const rest = inputs.filter((input) => !first.includes(input));
    const open = rest.some((input) => input.read() !== undefined);
    fill(
      form,
      el("div", { class: "panel form-grid" }, ...first.map(({ node }) => node)),
      el("details", { class: "panel", open }, el("summary", {}, "All settings"), el("div", { class: "form-grid" }, ...rest.map(({ node }) => node))),
      summary,
      el("div", { class: "row" }, el("button", { class: "primary" }, SAY[frame.kind])),
    );
    suggest();
  }

  /** Show in each empty field what the preset, or else the schema, puts there. */
  function suggest() {
    const value = (name) => inputs.find((input) => input.name === name)?.read();
    const dataset = datasets.find(({ name }) => name === value("dataset"));
    const named = value("preset") ?? dataset?.preset;
    const version = value("preset_version");
    const fits = (preset) => preset.kind === frame.kind && preset.family === frame.family && preset.name === named;
    const preset = presets.find((each) => fits(each) && (version ? each.version === version : each.latest));
    for (const { name, about, suggest: show } of inputs) show(preset?.values[name] ?? about.default);
    const names = presets.filter(({ kind, family, latest }) => kind === frame.kind && family === frame.family && latest);
    inputs.find(({ name }) => name === "preset")?.suggest(named ?? names.map(({ name }) => name).join(", "));
  }

  async function submit(event) {
    event.preventDefault();
    const body = frame.kind === "score" ? {} : { family: frame.family };
    for (const input of inputs) {
      input.fail(null);
      const value = input.read();
      if (value !== undefined) body[input.name] = value;
    }
    summary.textContent = "";
    const button = form.querySelector("button.primary");
    button.disabled = true;
    try {
      // Pressed twice, or sent twice by a broken connection, it is one job all the same.
      const headers = { "Idempotency-Key": await keyOf(body) };
      const job = await post(COLLECTIONS[frame.kind], body, { headers });
      notice(`The ${frame.kind} is queued.`, { good: true });
      location.hash = `#/jobs/${job.id}`;
    } catch (error) {
      refuse(error);
    } finally {
      button.disabled = false;
    }
  }

  /** Each problem at its field; those that have none in a line of their own. */
  function refuse(error) {
    const left = [];
    let first = null;
    for (const { loc, msg } of error.errors ?? []) {
      const input = inputs.find(({ name }) => loc.includes(name));
      if (!input) left.push(`${loc.slice(1).join(".")}: ${msg}`);
      else {
        input.fail(msg);
        first ??= input;
      }
    }
    summary.textContent = left.join("; ") || (first ? "Some values are not possible: see above." : wordsFor(error));
    if (first) {
      const hidden = first.node.closest("details");
      if (hidden) hidden.open = true;
      first.focus();
    }
  }

  function choice(name, values) {
    return el(
      "div",
      { class: "choice", role: "radiogroup", "aria-label": name },
      ...values.map((value) => {
        const input = el("input", { type: "radio", name, value, checked: frame[name] === value });
        input.addEventListener("change", () => {
          const kept = Object.fromEntries(inputs.map((each) => [each.name, each.read()]).filter(([, each]) => each !== undefined));
          frame[name] = value;
          query.set(name, value);
          remember(query);
          build(kept).catch((error) => notice(wordsFor(error)));
        });
        return el("label", {}, input, value);
      }),
    );
  }
}

/** The same within one visit for the same body: a new visit means a new job. */
const visit = crypto.getRandomValues(new Uint32Array(4)).join("-");
const made = new Map();

async function keyOf(body) {
  const text = `${location.hash} ${JSON.stringify(body)}`;
  if (!made.has(text)) made.set(text, `${visit}-${made.size}`);
  return made.get(text);
}
