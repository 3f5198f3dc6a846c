import { el, fill, notice } from "../lib/dom.js";
import { get, post, wordsFor } from "../lib/http.js";
import { remember } from "../lib/router.js";
import { Group } from "./groups.js";
import { Lists } from "./lists.js";
import { overrides } from "./overrides.js";
import { formOf, WITHOUT_FAMILY } from "./schema.js";
import { suggest } from "./suggest.js";

const COLLECTIONS = {
  search: "/searches",
  evaluation: "/evaluations",
  score: "/scores",
  ensemble: "/ensembles",
  study: "/studies",
  committee: "/committees",
};
const SAY = {
  search: "Search a cell",
  evaluation: "Train a cell",
  score: "Score a checkpoint",
  ensemble: "Measure together",
  study: "Start the study",
  committee: "Start the committee",
};

/** A job's form, made from the schema: what is left empty comes from the preset, which stands there in grey. */
export async function newView(main, { query }, signal) {
  const [{ items: datasets }, { items: presets }, from] = await Promise.all([
    get("/datasets", { signal }),
    get("/presets", { signal }),
    query.get("from") ? get(`/jobs/${encodeURIComponent(query.get("from"))}`, { signal }) : null,
  ]);
  const frame = { kind: from?.kind ?? query.get("kind") ?? "search", family: from?.spec.family ?? query.get("family") ?? "cnn" };
  if (!(frame.kind in COLLECTIONS)) frame.kind = "search";
  let root = null;

  const form = el("form", { class: "stack", novalidate: true });
  const summary = el("p", { class: "problem", role: "alert" });
  const families = choice("family", ["cnn", "rnn"]);
  fill(
    main,
    el(
      "div",
      { class: "head" },
      el("div", {}, el("h1", {}, from ? `Clone of ${from.name ?? from.id}` : "New job"), el("p", { class: "muted" }, "What is left empty comes from the preset.")),
      el("div", { class: "row" }, choice("kind", Object.keys(COLLECTIONS)), families),
    ),
    form,
  );
  form.addEventListener("submit", submit);
  form.addEventListener("input", () => suggested());
  await build((fields) => (from ? overrides(from, presets, fields) : given(query)));

  /** valuesOf: what is said already, of these fields. */
  async function build(valuesOf) {
    const fields = await formOf(frame.kind, frame.family, signal);
    const fitting = datasets.filter(({ kind, state }) => state === "ready" && (kind === "text") === (frame.family === "rnn"));
    const lists = new Lists(WITHOUT_FAMILY.has(frame.kind) ? datasets : fitting, signal);
    root = new Group({ ...fields, required: true }, lists);
    root.write(valuesOf(fields));
    root.more?.classList.add("panel");
    families.hidden = WITHOUT_FAMILY.has(frame.kind);
    fill(
      form,
      el("div", { class: "panel" }, root.grid),
      ...root.below,
      root.more,
      summary,
      el("div", { class: "row" }, el("button", { class: "primary" }, SAY[frame.kind])),
      lists.node,
    );
    suggested();
  }

  function suggested() {
    suggest(root, { ...frame, datasets, presets });
  }

  async function submit(event) {
    event.preventDefault();
    root.clear();
    const said = root.read();
    const body = WITHOUT_FAMILY.has(frame.kind) ? said : { family: frame.family, ...said };
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
    const failed = [];
    for (const { loc, msg } of error.errors ?? []) {
      // What is wrong with several fields together names one of them in its words.
      const [, named, rest] = /^(\w+): (.*)$/s.exec(msg) ?? [];
      const group = root.find(loc);
      const input = (named && group.input?.(named)) || group;
      if (input === root) left.push([loc.slice(1).join("."), msg].filter(Boolean).join(": "));
      else {
        input.fail(input === group ? msg : rest);
        failed.push(input);
      }
    }
    summary.textContent = left.join("; ") || (failed.length ? "Some values are not possible: see above." : wordsFor(error));
    for (const { node } of failed) {
      for (let hidden = node.closest("details"); hidden; hidden = hidden.parentElement.closest("details")) hidden.open = true;
    }
    failed[0]?.focus();
  }

  function choice(name, values) {
    return el(
      "div",
      { class: "choice", role: "radiogroup", "aria-label": name },
      ...values.map((value) => {
        const input = el("input", { type: "radio", name, value, checked: frame[name] === value });
        input.addEventListener("change", () => {
          const kept = root.read();
          frame[name] = value;
          query.set(name, value);
          remember(query);
          build(() => kept).catch((error) => notice(wordsFor(error)));
        });
        return el("label", {}, input, value);
      }),
    );
  }
}

/** What the address says: fields by their names, and evaluations that are to be measured together. */
function given(query) {
  const { members, ...fields } = Object.fromEntries(query);
  return members ? { ...fields, members: members.split(",").map((id) => ({ evaluation_id: id })) } : fields;
}

/** The same within one visit for the same body: a new visit means a new job. */
const visit = crypto.getRandomValues(new Uint32Array(4)).join("-");
const made = new Map();

async function keyOf(body) {
  const text = `${location.hash} ${JSON.stringify(body)}`;
  if (!made.has(text)) made.set(text, `${visit}-${made.size}`);
  return made.get(text);
}
