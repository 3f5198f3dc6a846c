/** Shows what owners have had of the fleet lately, and their budgets of this month. */
import { el, scrolling, table } from "./lib/dom.js";
import { whole } from "./lib/format.js";

const HEADS = ["Owner", "Share of the fleet", "Budget of this month", "Held jobs"];

/**
 * All owners with a share or a budget, the largest share first. Shares of jobs without a key have no owner.
 * @param {Share[]} shares
 * @param {Budget[]} budgets
 * @returns {Owner[]}
 */
export function standings(shares, budgets) {
  const left = new Map(budgets.map((budget) => [budget.owner, budget]));
  const known = shares.map((share) => {
    const budget = share.owner === null ? null : (left.get(share.owner) ?? null);
    if (budget) left.delete(budget.owner);
    return { ...share, budget };
  });
  const others = [...left.values()].map((budget) => ({ owner: budget.owner, gpu_hours: 0, share: 0, held: 0, budget }));
  return [...known, ...others];
}

/**
 * A budget in words, and the part of it that is used.
 * @param {Budget} budget
 */
export function used({ gpu_hours: all, used_gpu_hours: hours, state }) {
  const part = all > 0 ? hours / all : 1;
  const note = state === "open" ? "" : `, ${state}`;
  return { part, text: `${hours.toFixed(1)} of ${all.toLocaleString("en-GB")} GPU-hours, ${Math.round(100 * part)} %${note}` };
}

/** @param {Owner[]} owners @param {number} halfLife in hours */
export function ownersTable(owners, halfLife) {
  const body = el("tbody", {}, ...owners.map(line));
  return [
    el("h2", {}, "Shares and budgets"),
    el("p", { class: "muted" }, `The owner with the smallest share gets the next slot. GPU-hours count half after ${halfLife} hours.`),
    scrolling("Shares and budgets", table(HEADS, body, { class: "cards" })),
  ];
}

/** @param {Owner} owner */
function line({ owner, gpu_hours: hours, share, held, budget }) {
  const part = el("progress", { max: 1, value: share, "aria-label": "share of the fleet" });
  /** @type {[string | null, Child][]} */
  const cells = [
    [null, el("strong", {}, owner ?? "without a key")],
    ["Share", el("div", { class: "loads" }, `${(100 * share).toFixed(1)} %, ${hours.toFixed(1)} GPU-hours`, part)],
    ["Budget", budget ? bar(budget) : "–"],
    ["Held jobs", whole(held)],
  ];
  return el("tr", {}, ...cells.map(([label, content]) => el("td", { "data-label": label }, content)));
}

/** The bar ends at 125 %, so that the marks at 80 % and 100 % lie within it. @param {Budget} budget */
function bar(budget) {
  const { part, text } = used(budget);
  const progress = el("progress", { max: 1.25, value: Math.min(part, 1.25), "aria-label": "used part of the budget, to 125 %" });
  return el("div", { class: "loads" }, text, el("div", { class: `budget ${budget.state}` }, progress));
}
