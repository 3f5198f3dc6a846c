/** Asks for advice on a search within a budget, gives it to the form, and shows its reasons. */
import { announce, el, field, fill, scrolling, table } from "../lib/dom.js";
import { get, Problem, wordsFor } from "../lib/http.js";

const HEADS = ["Ledger", "Images", "Method", "Accuracy", "Minus random", "Minus random of its size", "Verdict"];

/**
 * A form of its own for the budget. `datasetOf` reads the data set of the job's form, `take` fills that form.
 * @param {() => unknown} datasetOf
 * @param {(advice: Advice) => void} take
 * @param {AbortSignal} signal
 */
export function advicePanel(datasetOf, take, signal) {
  const gpus = el("input", { type: "number", min: 1, step: 1, value: "1", required: true });
  const hours = el("input", { type: "number", min: 0, step: "any", value: "24", required: true });
  const button = el("button", {}, "Advise");
  const problem = el("p", { class: "problem", role: "alert" });
  const answer = el("div", { class: "stack" });
  const inputs = el("div", { class: "form-grid" }, field("GPUs you have", gpus), field("Hours you have", hours));
  const node = el(
    "form",
    { class: "panel stack", novalidate: true, "aria-label": "Advice" },
    el("p", { class: "hint" }, "Which method is worth it for your data and budget? Choose a data set below, and ask."),
    inputs,
    problem,
    el("div", { class: "row" }, button),
    answer,
  );
  node.addEventListener("submit", ask);
  return node;

  /** @param {Event} event */
  async function ask(event) {
    event.preventDefault();
    problem.textContent = "";
    fill(answer);
    const dataset = datasetOf();
    if (!dataset) {
      problem.textContent = "Choose a data set first.";
      return;
    }
    button.disabled = true;
    try {
      const query = new URLSearchParams({ dataset: String(dataset), gpus: gpus.value, hours: hours.value });
      const advice = await get(`/advice?${query}`, { signal });
      take(advice);
      fill(answer, ...shown(advice));
      announce("The form has the advised values.");
    } catch (error) {
      if (!signal.aborted) problem.textContent = refusal(error);
    } finally {
      button.disabled = false;
    }
  }
}

/**
 * The invalid parameters with their problems, or what else is wrong.
 * @param {unknown} error
 */
function refusal(error) {
  const errors = error instanceof Problem ? error.errors : [];
  return errors.map(({ loc, msg }) => `${loc.at(-1)}: ${msg}`).join("; ") || wordsFor(error);
}

/** @param {Advice} advice */
function shown({ dataset, gpus, hours, kind, retraining_epochs: epochs, sentences, rows }) {
  const then = kind === "search" ? [`When it has ended, train its cell for ${epochs} epochs.`] : [];
  const body = el("tbody", {}, ...rows.map((row) => el("tr", {}, ...cells(row).map((cell) => el("td", {}, cell)))));
  return [
    el("h2", {}, `Advice for ${dataset}, ${gpus} GPU${gpus === 1 ? "" : "s"} and ${hours} h`),
    el("p", {}, "The form below has the advised values."),
    el("ul", {}, ...[...sentences, ...then].map((sentence) => el("li", {}, sentence))),
    scrolling("Rows of the ledger", table(HEADS, body)),
  ];
}

/** @param {Advice["rows"][number]} row */
function cells({ protocol, training_images: images, method, accuracy, deviation, against_random: lead, against_size: alike, verdict }) {
  const spread = deviation === null ? "" : ` ± ${deviation.toFixed(2)}`;
  return [protocol, images.toLocaleString("en"), method, `${accuracy.toFixed(2)}${spread} %`, signed(lead), signed(alike), verdict];
}

/**
 * A difference in points, with the ends of its interval.
 * @param {{ mean: number, low: number, high: number } | null} difference
 */
export function signed(difference) {
  if (!difference) return "–";
  const [mean, low, high] = [difference.mean, difference.low, difference.high].map(
    (value) => (value < 0 ? "−" : "+") + Math.abs(value).toFixed(2),
  );
  return `${mean} (${low} to ${high})`;
}
