/** Shows the curl command that downloads a file, with a button that copies it. */
import { byId, el } from "../../lib/dom.js";

/** @param {string | undefined} path */
export function curl(path) {
  const key = byId("session").textContent ? ' -H "Authorization: Bearer $DARTBOARD_API_KEY"' : "";
  const line = `curl -OJ${key} '${location.origin}${path}'`;
  const copy = el("button", { type: "button" }, "Copy");
  copy.addEventListener("click", async () => {
    // Browsers have no clipboard on pages without HTTPS.
    await navigator.clipboard?.writeText(line).catch(() => {});
    copy.textContent = "Copied";
    setTimeout(() => {
      copy.textContent = "Copy";
    }, 1500);
  });
  return el("div", { class: "command" }, el("pre", {}, line), copy);
}
