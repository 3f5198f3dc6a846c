/** Renders a safe part of Markdown: headings, lists, paragraphs, code, emphasis and web links. All else stays text. */
import { el } from "./dom.js";

const INLINE = /`([^`]+)`|\*\*([^*]+)\*\*|\*([^*\s][^*]*)\*|\[([^\]]+)\]\((https?:\/\/[^\s)]+|#\/[^\s)]*)\)/g;

/**
 * Elements made one by one, never from markup: no text can become a script.
 * @param {string} source
 * @returns {HTMLElement[]}
 */
export function markdown(source) {
  /** @type {HTMLElement[]} */
  const blocks = [];
  // Fenced code is a block whatever it holds.
  source.split(/^```.*$\n?/m).forEach((part, at) => {
    if (at % 2) blocks.push(el("pre", {}, part.replace(/\n$/, "")));
    else for (const block of part.split(/\n\s*\n/)) if (block.trim()) blocks.push(...blockOf(block.replace(/^\n+|\s+$/g, "")));
  });
  return blocks;
}

/** @param {string} block @returns {HTMLElement[]} */
function blockOf(block) {
  const [first, ...rest] = block.split("\n");
  const heading = /^#{1,6} +(.*)$/.exec(first);
  if (heading) return [el("h3", {}, ...inline(heading[1])), ...(rest.length ? blockOf(rest.join("\n")) : [])];
  const lines = [first, ...rest];
  if (lines.every((line) => /^\s*[-*] /.test(line))) return [listOf("ul", lines, /^\s*[-*] +/)];
  if (lines.every((line) => /^\s*\d+\. /.test(line))) return [listOf("ol", lines, /^\s*\d+\. +/)];
  return [el("p", {}, ...inline(block))];
}

/** @param {"ul" | "ol"} tag @param {string[]} lines @param {RegExp} mark */
function listOf(tag, lines, mark) {
  return el(tag, {}, ...lines.map((line) => el("li", {}, ...inline(line.replace(mark, "")))));
}

/** @param {string} text @returns {(Node | string)[]} */
function inline(text) {
  /** @type {(Node | string)[]} */
  const parts = [];
  let end = 0;
  for (const match of text.matchAll(INLINE)) {
    const [whole, code, strong, weak, label, address] = match;
    parts.push(text.slice(end, match.index));
    end = match.index + whole.length;
    if (code) parts.push(el("code", {}, code));
    else if (strong) parts.push(el("strong", {}, strong));
    else if (weak) parts.push(el("em", {}, weak));
    else parts.push(el("a", { href: address, rel: "noreferrer" }, label));
  }
  return [...parts, text.slice(end)];
}
