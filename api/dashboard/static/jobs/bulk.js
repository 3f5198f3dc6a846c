/** Acts on the chosen jobs of the list: compare, rank, cancel, pause, resume, retry, delete and label them. */
import { el, notice, text } from "../lib/dom.js";
import { plural } from "../lib/format.js";
import { get, post, send, wordsFor } from "../lib/http.js";
import { allowed } from "../lib/jobs.js";

const MOST_COMPARED = 6;
const ACTIONS = { pause: "Pause", resume: "Resume", retry: "Retry", cancel: "Cancel", delete: "Delete" };
/** @type {Record<string, string>} */
const DONE = { pause: "paused", resume: "resumed", retry: "retried", cancel: "cancelled", delete: "deleted", label: "labelled" };

/**
 * A bar that is shown while jobs are chosen.
 * @param {Set<string>} chosen
 * @param {{ done: () => void, clear: () => void }} callbacks done: after an action
 */
export function bulkBar(chosen, { done, clear }) {
  const count = el("strong");
  const compare = el("a", { class: "button primary" }, "Compare");
  const rank = el("a", { class: "button" }, "Leaderboard");
  const buttons = Object.entries(ACTIONS).map(([action, label]) => {
    const style = ["cancel", "delete"].includes(action) ? "danger" : null;
    return el("button", { type: "button", class: style, on: { click: () => act(action) } }, label);
  });
  const labelled = el("button", { type: "button", on: { click: label } }, "Label");
  const none = el("button", { type: "button", class: "plain", on: { click: clear } }, "Clear");
  const node = el("div", { class: "floating row", hidden: true }, count, compare, rank, ...buttons, labelled, none);
  return { node, update };

  function update() {
    const many = chosen.size;
    node.hidden = many === 0;
    text(count, `${many} chosen`);
    rank.href = `#/leaderboard?chosen=${[...chosen].join(",")}`;
    const comparable = many >= 2 && many <= MOST_COMPARED;
    if (comparable) compare.href = `#/compare?ids=${[...chosen].join(",")}`;
    else compare.removeAttribute("href");
    compare.title = comparable ? "" : `two to ${MOST_COMPARED} jobs can be compared`;
  }

  /** @param {string} action */
  async function act(action) {
    const jobs = await present();
    const possible = jobs.filter((job) => allowed(action, job));
    if (!possible.length) return notice(`None of the chosen jobs can be ${DONE[action]} now.`);
    const question = `${ACTIONS[/** @type {keyof typeof ACTIONS} */ (action)]} ${plural(possible.length, "job")}?`;
    const warning = action === "delete" ? " Their epochs and files go with them; this cannot be undone." : "";
    if (["cancel", "delete"].includes(action) && !confirm(question + warning)) return;
    await each(action, possible, jobs.length - possible.length, ({ links }) =>
      action === "delete" ? send("DELETE", links.self) : post(`${links.self}/${action}`),
    );
  }

  async function label() {
    const given = prompt("Label for the chosen jobs, as key=value. key= takes it away.");
    if (given === null) return;
    const [key, ...rest] = given.split("=");
    if (!key.trim() || !rest.length) return notice("A label has a key and a value: team=vision");
    const value = rest.join("=").trim();
    await each("label", await present(), 0, ({ links, labels }) => {
      const { [key.trim()]: _, ...others } = labels;
      return send("PATCH", links.self, { body: { labels: value ? { ...others, [key.trim()]: value } : others } });
    });
  }

  /** The chosen jobs as they are now, without those that were deleted meanwhile. */
  async function present() {
    const found = await Promise.all([...chosen].map((id) => get(`/jobs/${id}`).catch(() => null)));
    return /** @type {Job[]} */ (found.filter((job) => job !== null));
  }

  /**
   * One after the other, also past a refusal.
   * @param {string} action @param {Job[]} jobs @param {number} left @param {(job: Job) => Promise<unknown>} one
   */
  async function each(action, jobs, left, one) {
    /** @type {string[]} */
    const refused = [];
    for (const job of jobs) {
      try {
        await one(job);
        if (action === "delete") chosen.delete(job.id);
      } catch (error) {
        refused.push(wordsFor(error));
      }
    }
    const parts = [`${plural(jobs.length - refused.length, "job")} ${DONE[action]}`];
    if (left) parts.push(`${left} left as they are`);
    if (refused.length) parts.push(`${refused.length} refused: ${refused[0]}`);
    notice(parts.join(", "), { good: !refused.length });
    done();
  }
}
