/** Shows commands with a button that copies them. */
import { byId, el } from "../../lib/dom.js";

/**
 * The curl command that downloads a file.
 * @param {string | undefined} path
 */
export function curl(path) {
  const key = byId("session").textContent ? ' -H "Authorization: Bearer $DARTBOARD_API_KEY"' : "";
  return command(`curl -OJ${key} '${location.origin}${path}'`);
}

/** @param {string} lines @param {string} what is copied, where there are several */
export function command(lines, what = "") {
  const copy = el("button", { type: "button", "aria-label": what ? `Copy ${what}` : null }, "Copy");
  copy.addEventListener("click", async () => {
    // Browsers have no clipboard on pages without HTTPS.
    await navigator.clipboard?.writeText(lines).catch(() => {});
    copy.textContent = "Copied";
    setTimeout(() => {
      copy.textContent = "Copy";
    }, 1500);
  });
  return el("div", { class: "command" }, el("pre", {}, lines), copy);
}
