/** Shows the form that creates a job. Empty fields take the values of the preset, shown in grey. */
import { isOffered } from "../lib/datasets.js";
import { el, fill, notice } from "../lib/dom.js";
import { get, Problem, post, wordsFor } from "../lib/http.js";
import { remember } from "../lib/router.js";
import { advicePanel } from "./advice.js";
import { Drafts } from "./drafts.js";
import { Group } from "./groups.js";
import { Lists } from "./lists.js";
import { fitting } from "./methods.js";
import { cellOf, overrides } from "./overrides.js";
import { fieldsOf, formsOf, hasNoFamily } from "./schema.js";
import { suggest } from "./suggest.js";

/** @typedef {Exclude<ReturnType<Group["find"]>, Group> | import("./groups.js").Part} Failing */

/** @param {HTMLElement} main @param {Place} place @param {AbortSignal} signal */
export async function newView(main, { query }, signal) {
  const source = query.get("from");
  const [{ forms, schemas }, { items: datasets }, { items: presets }, { items: methods }, from] = await Promise.all([
    formsOf(signal),
    get("/datasets", { signal }),
    get("/presets", { signal }),
    get("/methods", { signal }),
    source ? get(`/jobs/${encodeURIComponent(source)}`, { signal }) : null,
  ]);
  /** @type {{ kind: string, family: Family }} */
  const frame = { kind: from?.kind ?? query.get("kind") ?? "search", family: from?.spec.family ?? familyIn(query) };
  if (!forms.has(frame.kind)) frame.kind = "search";
  /** @type {Form} */
  let form;
  /** @type {Group} */
  let root;

  const drafts = new Drafts(query);
  /** @type {Map<string, Promise<Job | null>>} */
  const searched = new Map();
  const node = el("form", { class: "stack", novalidate: true });
  const summary = el("p", { class: "problem", role: "alert" });
  const about = el("p");
  const submitButton = el("button", { class: "primary" });
  const kinds = choice("kind", [...forms.keys()]);
  const families = choice("family", ["cnn", "rnn"]);
  const advice = advicePanel(() => datasetOf(root), advised, signal);
  fill(
    main,
    el(
      "div",
      { class: "head" },
      el(
        "div",
        {},
        el("h1", {}, from ? `Clone of ${from.name ?? from.id}` : "New job"),
        about,
        el("p", { class: "muted" }, "Empty fields take the values of the preset; those with * must be filled."),
      ),
      el("div", { class: "row" }, kinds, families),
    ),
    el("div", { class: "stack" }, advice, node),
  );
  node.addEventListener("submit", submit);
  node.addEventListener("input", () => {
    if (!node.querySelector("[aria-invalid]")) summary.textContent = "";
    keep();
    showDefaults();
  });
  const cell = from ? await cellOf(from, signal) : null;
  build((fields) => drafts.read(frame) ?? (from ? { ...overrides(from, { presets, methods }, fields), ...cell } : given(query)));

  function keep() {
    drafts.write(frame, root.read() ?? {});
  }

  /**
   * Build the form of the chosen kind and family.
   * @param {(fields: GroupField) => Record<string, unknown>} valuesOf the values to start with
   */
  function build(valuesOf) {
    form = /** @type {Form} */ (forms.get(frame.kind));
    const withoutFamily = hasNoFamily(form);
    const fields = fitting(fieldsOf(form, frame.family, schemas), methods, frame.family);
    const offered = datasets.filter(isOffered);
    const ofFamily = offered.filter(({ kind }) => (kind === "text") === (frame.family === "rnn"));
    const lists = new Lists(withoutFamily ? offered : ofFamily, signal);
    root = new Group({ ...fields, required: true }, lists);
    root.write(valuesOf(fields));
    root.more?.classList.add("panel");
    families.hidden = withoutFamily;
    // The ledger has searches of convolutional cells.
    advice.hidden = frame.family !== "cnn" || !["search", "study"].includes(frame.kind);
    submitButton.textContent = form.submit;
    about.textContent = form.about;
    fill(
      node,
      el("div", { class: "panel" }, root.grid),
      ...root.below,
      root.more,
      summary,
      el("div", { class: "row" }, submitButton),
      lists.node,
    );
    showDefaults();
  }

  /**
   * Show the advised job; of the values before, its name stays.
   * @param {Advice} advice
   */
  function advised({ kind, body }) {
    const name = root.read()?.name;
    frame.kind = kind;
    query.set("kind", kind);
    remember(query);
    for (const input of kinds.querySelectorAll("input")) input.checked = input.value === kind;
    build(() => ({ name, ...body }));
    keep();
  }

  async function showDefaults() {
    const present = root;
    const dataset = await datasetOfSearch(root.leaf("search_id")?.read());
    if (present === root) suggest(root, { form, family: frame.family, datasets, presets, methods }, dataset);
  }

  /**
   * The data set of the search whose cell is to be trained, which is the training's if it names none.
   * @param {unknown} id
   */
  async function datasetOfSearch(id) {
    if (typeof id !== "string" || !id) return undefined;
    if (!searched.has(id))
      searched.set(
        id,
        get(`/jobs/${encodeURIComponent(id)}`, { signal }).catch(() => null),
      );
    return (await searched.get(id))?.spec.dataset;
  }

  /** @param {Event} event */
  async function submit(event) {
    event.preventDefault();
    root.clear();
    const values = root.read();
    const body = hasNoFamily(form) ? values : { family: frame.family, ...values };
    summary.textContent = "";
    submitButton.disabled = true;
    try {
      // A second click or a repeated request creates no second job.
      const headers = { "Idempotency-Key": keyOf(body) };
      const job = await post(form.collection, body, { headers });
      drafts.remove(frame);
      notice(`The ${frame.kind} is queued.`, { good: true });
      location.hash = `#/jobs/${job.id}`;
    } catch (error) {
      refuse(error);
    } finally {
      submitButton.disabled = false;
    }
  }

  /**
   * Show each problem at its field, and the others above the button.
   * @param {unknown} error
   */
  function refuse(error) {
    /** @type {string[]} */
    const left = [];
    /** @type {Map<Failing, string[]>} */
    const failed = new Map();
    for (const { loc, msg } of error instanceof Problem ? error.errors : []) {
      // A problem of several fields together is at their group, and its message begins with the name of one of them.
      const [, named, rest] = /^(\w+): (.*)$/s.exec(msg) ?? [];
      const group = root.find(loc);
      const input = (group instanceof Group && group.input(named)) || group;
      if (!("fail" in input)) left.push([loc.slice(1).join("."), msg].filter(Boolean).join(": "));
      else failed.set(input, [...(failed.get(input) ?? []), input === group ? msg : rest]);
    }
    for (const [input, messages] of failed) input.fail(messages.join("; "));
    summary.textContent = left.join("; ") || (failed.size ? "Some values are not valid: see above." : wordsFor(error));
    for (const { node } of failed.keys()) {
      for (let hidden = node.closest("details"); hidden; hidden = hidden.parentElement?.closest("details") ?? null) hidden.open = true;
    }
    [...failed.keys()].sort(inOrder)[0]?.focus();
  }

  /** @param {"kind" | "family"} name @param {string[]} values */
  function choice(name, values) {
    return el(
      "div",
      { class: "choice", role: "radiogroup", "aria-label": name },
      ...values.map((value) => {
        const input = el("input", { type: "radio", name, value, checked: frame[name] === value });
        input.addEventListener("change", () => {
          const kept = root.read();
          keep();
          Object.assign(frame, { [name]: value });
          query.set(name, value);
          remember(query);
          build(() => drafts.read(frame) ?? kept ?? {});
        });
        return el("label", {}, input, value);
      }),
    );
  }
}

/** In the order of the page. @param {Failing} a @param {Failing} b */
function inOrder(a, b) {
  return a.node.compareDocumentPosition(b.node) & Node.DOCUMENT_POSITION_FOLLOWING ? -1 : 1;
}

/**
 * The data set of a search, or of a study's searches.
 * @param {Group} root
 */
function datasetOf(root) {
  const input = root.leaf("dataset") ?? root.parts.find(({ name }) => name === "search")?.leaf("dataset");
  return input?.read();
}

/** @param {URLSearchParams} query @returns {Family} */
function familyIn(query) {
  return query.get("family") === "rnn" ? "rnn" : "cnn";
}

/**
 * The values in the address: fields by name, and an ensemble's members by their evaluations' ids.
 * @param {URLSearchParams} query
 * @returns {Record<string, unknown>}
 */
function given(query) {
  const { members, ...fields } = Object.fromEntries(query);
  return members ? { ...fields, members: members.split(",").map((id) => ({ evaluation_id: id })) } : fields;
}

const visit = crypto.getRandomValues(new Uint32Array(4)).join("-");
/** @type {string[]} */
const submitted = [];

/**
 * The idempotency key of a body: the same for the same body until the page is loaded again.
 * @param {object | undefined} body
 */
function keyOf(body) {
  const text = `${location.hash} ${JSON.stringify(body)}`;
  if (!submitted.includes(text)) submitted.push(text);
  return `${visit}-${submitted.indexOf(text)}`;
}
