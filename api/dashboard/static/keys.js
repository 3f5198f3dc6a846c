/** Lists the keys of one who signed in at the identity provider, creates and revokes them. */
import { el, field, fill, notice, scrolling, table } from "./lib/dom.js";
import { ago } from "./lib/format.js";
import { get, send, wordsFor } from "./lib/http.js";

const ROLES = ["viewer", "user", "admin"];
const HEADS = ["Id", "Role", "Created", "Last used"];

/** @param {HTMLElement} main @param {Place} _ @param {AbortSignal} signal */
export async function keysView(main, _, signal) {
  const { owner, role: own, person } = await get("/session", { signal });
  const body = el("tbody");
  const created = el("div", { role: "status" });
  const role = el("select", {}, ...ROLES.slice(0, ROLES.indexOf(own) + 1).map((value) => el("option", { value }, value)));
  role.value = own;
  const form = el("form", { class: "panel filters" }, field("Role", role), el("button", { class: "primary" }, "Create key"));
  const about = person
    ? "For curl, the command and scripts. A key has at most the role of your latest login, and rests when you have not signed in for some time."
    : "Only people who sign in at the identity provider create keys here.";
  fill(
    main,
    el("div", { class: "head" }, el("div", {}, el("h1", {}, "Keys"), el("p", { class: "muted" }, about))),
    el(
      "div",
      { class: "stack" },
      person && form,
      created,
      scrolling("Keys", table([...HEADS, el("span", { class: "unseen" }, "Actions")], body, { class: "cards" })),
    ),
  );
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      const { key } = /** @type {{ key: string }} */ (await send("POST", "/keys", { body: { role: role.value } }));
      fill(created, el("div", { class: "panel stack" }, el("p", {}, "Copy the key now: it is shown this once."), el("code", {}, key)));
    } catch (error) {
      notice(wordsFor(error));
    }
    load();
  });
  await load();

  async function load() {
    try {
      const { items } = await get("/keys?limit=200", { signal });
      const shown = items.filter((key) => key.owner === owner && !key.revoked_at && key.person === null);
      fill(body, ...shown.map((key) => row(key, load)));
    } catch (error) {
      if (!signal.aborted) notice(wordsFor(error));
    }
  }
}

/** @param {ApiKey} key @param {() => void} changed */
function row({ id, role, created_at, last_used_at }, changed) {
  const revoke = el("button", { type: "button", class: "danger" }, "Revoke", el("span", { class: "unseen" }, ` ${id}`));
  revoke.addEventListener("click", async () => {
    if (!confirm(`Revoke ${id}?`)) return;
    await send("DELETE", `/keys/${id}`).catch((error) => notice(wordsFor(error)));
    changed();
  });
  return el(
    "tr",
    {},
    el("td", {}, el("code", {}, id)),
    el("td", { "data-label": "Role" }, role),
    el("td", { "data-label": "Created" }, ago(created_at)),
    el("td", { "data-label": "Last used" }, last_used_at ? ago(last_used_at) : "–"),
    el("td", {}, revoke),
  );
}
