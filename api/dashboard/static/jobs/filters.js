/** Makes the row of filters above the list of jobs. */
import { el, field } from "../lib/dom.js";

const KINDS = ["search", "evaluation", "score", "ensemble", "study", "committee", "prediction"];
/** @type {Status[]} */
const STATUSES = ["queued", "running", "pausing", "paused", "succeeded", "failed", "cancelled"];

/**
 * onChange is called once typing pauses. `count` sets the numbers of jobs by status.
 * @param {URLSearchParams} query
 * @param {(name: string, value: string) => void} onChange
 */
export function filters(query, onChange) {
  const statuses = choice("status", STATUSES);
  const node = el(
    "div",
    { class: "filters", role: "search" },
    field("Search", typed("q", "search", "name, id, data set, label…")),
    field("Kind", choice("kind", KINDS)),
    field("Status", statuses),
    field("Label", typed("label", "text", "key=value")),
    field("Owner", typed("owner", "text", "anyone")),
  );
  return { node, count };

  /** @param {Partial<Record<Status, number>>} counts */
  function count(counts) {
    for (const option of statuses.options) {
      const number = counts[/** @type {Status} */ (option.value)];
      if (option.value) option.textContent = number ? `${option.value} (${number})` : option.value;
    }
  }

  /** @param {string} name @param {string[]} values */
  function choice(name, values) {
    const options = values.map((each) => el("option", { value: each }, each));
    const select = el("select", {}, el("option", { value: "" }, "any"), ...options);
    select.value = query.get(name) ?? "";
    select.addEventListener("change", () => onChange(name, select.value));
    return select;
  }

  /** @param {string} name @param {string} type @param {string} placeholder */
  function typed(name, type, placeholder) {
    const input = el("input", { type, placeholder, value: query.get(name) ?? "" });
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let timer;
    input.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(() => onChange(name, input.value.trim()), 250);
    });
    return input;
  }
}
