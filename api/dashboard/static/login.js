/** Exchanges a key for a session's cookie, or leads to the identity provider. The page keeps the key nowhere. */
import { el, field, fill, meta } from "./lib/dom.js";
import { send, wordsFor } from "./lib/http.js";

/** @param {HTMLElement} main @param {() => void} done */
export function loginView(main, done) {
  const provider = meta("provider");
  const key = el("input", { type: "password", autocomplete: "current-password", required: true, spellcheck: "false" });
  const problem = el("p", { class: "problem", role: "alert" });
  const button = el("button", { class: provider ? "" : "primary" }, "Log in");
  const about = provider
    ? el("p", { class: "muted" }, "Or with a key:")
    : el("p", { class: "muted" }, "This service requires a key. Its admins create one with ", el("code", {}, "dartboard keys create"), ".");
  const form = el(
    "form",
    { class: "panel stack narrow" },
    el("h1", { tabindex: "-1" }, "Log in"),
    provider && signIn(provider),
    about,
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
  /** @type {HTMLElement} */ (form.querySelector("a") ?? key).focus();
}

/** @param {string} provider */
function signIn(provider) {
  const place = encodeURIComponent(location.hash);
  return el("a", { class: "button primary", href: `/session/login?place=${place}` }, `Sign in with ${provider}`);
}
