/** The qualities and costs by which jobs are compared. */

import { COLUMNS, metricOf } from "../jobs/columns.js";
import { duration, metric, whole } from "../lib/format.js";

/**
 * A cost. text: of a value, with its unit.
 * @typedef {{ label: string, of(job: Job): number | null | undefined, text(value: number): string }} Cost
 */

const QUALITY_COLUMNS = [
  "test",
  "evaluation_validation",
  "search_validation",
  "test_perplexity",
  "evaluation_perplexity",
  "search_perplexity",
];

/** By the name that the address has. falling: the lower, the better. */
export const QUALITIES = Object.fromEntries(
  QUALITY_COLUMNS.map((name) => {
    const { label, sort = "", raw } = COLUMNS[name];
    /** @param {Job} job */
    const of = (job) => /** @type {number | undefined} */ (raw?.(job));
    /** @param {number} value */
    const text = (value) => metric(sort.replace(/^-/, "").split(".").at(-1) ?? "", value);
    return [name, { label, sort, falling: !sort.startsWith("-"), of, text }];
  }),
);

/** @type {Record<string, Cost>} */
export const COSTS = {
  parameters: { label: "Parameters", of: ({ parameters }) => parameters, text: whole },
  multiply_adds: { label: "Multiply-adds", of: ({ multiply_adds }) => multiply_adds, text: whole },
  latency: {
    label: "Expected latency",
    of: (job) => metricOf(job, "expected_latency_ms"),
    text: (value) => `${value.toPrecision(3)} ms`,
  },
  duration: { label: "Duration", of: (job) => /** @type {number | undefined} */ (COLUMNS.duration.raw?.(job)), text: duration },
};

/**
 * A limit as typed: 3M, 3.5e6, 3,000,000; null if it is none.
 * @param {string} text
 */
export function limitOf(text) {
  const [, digits, unit] = text.trim().match(/^([\d.,]+(?:e\d+)?)\s*([kMG]?)$/i) ?? [];
  const value = Number(digits?.replaceAll(",", "")) * ({ k: 1e3, m: 1e6, g: 1e9 }[unit?.toLowerCase() ?? ""] ?? 1);
  return Number.isFinite(value) ? value : null;
}
