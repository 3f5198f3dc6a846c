/** The browser's tab: a title, and for a job its status as a sign before the title and as the icon's colour. */

/** @type {Record<Status, { sign: string, colour: string }>} */
const LOOKS = {
  queued: { sign: "○", colour: "--muted" },
  running: { sign: "▶", colour: "--accent" },
  pausing: { sign: "⏸", colour: "--warn" },
  paused: { sign: "⏸", colour: "--warn" },
  succeeded: { sign: "✓", colour: "--good" },
  failed: { sign: "✗", colour: "--bad" },
  cancelled: { sign: "–", colour: "--muted" },
};
const icon = /** @type {HTMLLinkElement} */ (document.querySelector("link[rel=icon]"));
const brand = icon.href;

/**
 * @param {string} title
 * @param {Status | null} [status]
 */
export function showInTab(title, status = null) {
  document.title = `${status ? `${LOOKS[status].sign} ` : ""}${title} · Dartboard`;
  const wanted = status ? dot(LOOKS[status].colour) : brand;
  if (icon.href !== wanted) icon.href = wanted;
}

/** @param {string} token */
function dot(token) {
  const colour = getComputedStyle(document.documentElement).getPropertyValue(token);
  const drawing = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><circle cx="16" cy="16" r="13" fill="${colour}"/></svg>`;
  return `data:image/svg+xml,${encodeURIComponent(drawing)}`;
}
