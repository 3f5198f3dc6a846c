import { el, field } from "../lib/dom.js";

const KINDS = ["search", "evaluation", "score", "ensemble", "study", "committee"];
const STATUSES = ["queued", "running", "pausing", "paused", "succeeded", "failed", "cancelled"];

/** The row of filters. onChange(name, value); what the service filters by waits until it has been typed out. */
export function filters(query, onChange) {
  return el(
    "div",
    { class: "filters", role: "search" },
    field("Search", typed("search", "search", "name, id, data set, label…")),
    field("Kind", choice("kind", KINDS)),
    field("Status", choice("status", STATUSES)),
    field("Label", typed("label", "text", "key=value")),
  );

  function choice(name, values) {
    const options = values.map((each) => el("option", { value: each }, each));
    const select = el("select", {}, el("option", { value: "" }, "any"), ...options);
    select.value = query.get(name) ?? "";
    select.addEventListener("change", () => onChange(name, select.value));
    return select;
  }

  function typed(name, type, placeholder) {
    const input = el("input", { type, placeholder, value: query.get(name) ?? "" });
    let timer = null;
    input.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(() => onChange(name, input.value.trim()), 250);
    });
    return input;
  }
}
