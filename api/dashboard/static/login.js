/** Exchanges a key for a session's cookie. The page keeps the key nowhere. */
import { el, field, fill } from "./lib/dom.js";
import { send, wordsFor } from "./lib/http.js";

/** @param {HTMLElement} main @param {() => void} done */
export function loginView(main, done) {
  const key = el("input", { type: "password", autocomplete: "current-password", required: true, spellcheck: "false" });
  const problem = el("p", { class: "problem", role: "alert" });
  const button = el("button", { class: "primary" }, "Log in");
  const form = el(
    "form",
    { class: "panel stack narrow" },
    el("h1", { tabindex: "-1" }, "Log in"),
    el("p", { class: "muted" }, "This service requires a key. Its admins create one with ", el("code", {}, "dartboard keys create"), "."),
    field("Key", key, { problem }),
    button,
  );
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    button.disabled = true;
    try {
      await send("POST", "/session", { headers: { Authorization: `Bearer ${key.value.trim()}` } });
      done();
    } catch (error) {
      problem.textContent = wordsFor(error);
      key.focus();
    } finally {
      button.disabled = false;
    }
  });
  fill(main, form);
  key.focus();
}
