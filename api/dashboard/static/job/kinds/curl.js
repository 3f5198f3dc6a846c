import { el } from "../../lib/dom.js";

/** The line that fetches a file from a shell, and a button that copies it. */
export function curl(path) {
  const key = document.getElementById("session").textContent ? ' -H "Authorization: Bearer $DARTBOARD_API_KEY"' : "";
  const line = `curl -OJ${key} '${location.origin}${path}'`;
  const copy = el("button", { type: "button" }, "Copy");
  copy.addEventListener("click", async () => {
    await navigator.clipboard?.writeText(line).catch(() => {});
    copy.textContent = "Copied";
    setTimeout(() => (copy.textContent = "Copy"), 1500);
  });
  return el("div", { class: "command" }, el("pre", {}, line), copy);
}
