/** Writes labels, as `key=value`, and reads them. */
import { el } from "./dom.js";

/**
 * Links to the jobs that have the same label.
 * @param {Record<string, string>} labels
 */
export function labelLinks(labels) {
  return asLines(labels).map((label) => el("a", { class: "label", href: `#/jobs?${new URLSearchParams({ label })}` }, label));
}

/** @param {Record<string, string>} labels */
export function asLines(labels) {
  return Object.entries(labels).map(([key, value]) => `${key}=${value}`);
}

/**
 * Labels from lines of `key=value`. Throws an Error that names the first line without a key.
 * @param {string} text
 * @returns {Record<string, string>}
 */
export function labelsIn(text) {
  const lines = text.split("\n").map((line) => line.trim());
  return Object.fromEntries(
    lines.filter(Boolean).map((line) => {
      const at = line.indexOf("=");
      if (at < 1) throw new Error(`“${line}” is no label: write it as key=value`);
      return [line.slice(0, at).trim(), line.slice(at + 1).trim()];
    }),
  );
}
