/** Shows what jobs took of the workers, by owner, project, kind, device or day, and the owners' shares and budgets. */
import { el, field, fill, scrolling, table } from "./lib/dom.js";
import { capital, duration, plural, whole } from "./lib/format.js";
import { get, wordsFor } from "./lib/http.js";
import { remember } from "./lib/router.js";
import { ownersTable, standings } from "./owners.js";

const KEYS = /** @type {const} */ (["owner", "project", "kind", "device", "day"]);
const SPANS = [1, 7, 30, 90, 365];
const DEFAULT_SPAN = 30;
const DAY_MS = 86_400_000;

/** @type {View} */
export function usageView(main, { query }, signal) {
  const by = choice(
    KEYS.map((key) => [key, capital(key)]),
    query.get("by") ?? KEYS[0],
  );
  const days = choice(
    SPANS.map((span) => [String(span), span === 1 ? "24 hours" : `${span} days`]),
    query.get("days") ?? String(DEFAULT_SPAN),
  );
  const about = el("p", { class: "muted", role: "status" }, "Loading…");
  const found = el("div");
  const owners = el("section");
  const csv = el("a", { class: "button", download: "usage.csv" }, "CSV");
  fill(
    main,
    el("div", { class: "head" }, el("div", {}, el("h1", {}, "Usage"), about), csv),
    el("div", { class: "stack" }, el("div", { class: "filters" }, field("Divided by", by), field("Of the last", days)), found, owners),
  );
  for (const input of [by, days]) input.addEventListener("change", load, { signal });
  load();
  showOwners();

  async function showOwners() {
    try {
      const [shares, budgets] = await Promise.all([get("/usage/shares", { signal }), get("/budgets", { signal })]);
      const found = standings(shares.items, budgets.items);
      fill(owners, found.length ? ownersTable(found, shares.half_life_hours) : null);
    } catch (error) {
      if (!signal.aborted) fill(owners, el("p", { class: "muted" }, wordsFor(error)));
    }
  }

  async function load() {
    remember(new URLSearchParams({ by: by.value, days: days.value }));
    const since = new Date(Date.now() - Number(days.value) * DAY_MS).toISOString();
    const path = /** @type {const} */ (`/usage?by=${by.value}&since=${encodeURIComponent(since)}`);
    csv.href = `${path}&format=csv`;
    try {
      const { rows, total } = await get(path, { signal });
      about.textContent = total.attempts
        ? `${sum(total.compute_seconds)} by ${plural(total.jobs, "job")}, ${sum(total.gpu_seconds)} of it on GPUs`
        : "No job has run in this time.";
      fill(found, rows.length ? list(by.value, rows) : null);
    } catch (error) {
      if (!signal.aborted) about.textContent = wordsFor(error);
    }
  }
}

/** @param {string} by @param {UsageRow[]} rows */
function list(by, rows) {
  const most = Math.max(...rows.map((row) => row.compute_seconds));
  const heads = [capital(by), "Run time", "On GPUs", "Lost", "Energy", "Jobs", "Attempts"];
  const body = el("tbody", {}, ...rows.map((row) => line(by, row, most)));
  return scrolling(`Usage by ${by}`, table(heads, body, { class: "cards" }));
}

/** @param {string} by @param {UsageRow} row @param {number} most */
function line(by, row, most) {
  const name = /** @type {Record<string, unknown>} */ (row)[by] ?? "–";
  const share = el("progress", { max: 1, value: most ? row.compute_seconds / most : 0, "aria-label": "share of the largest" });
  /** @type {[string | null, Child][]} */
  const cells = [
    [null, el("strong", {}, String(name))],
    ["Run time", el("div", { class: "loads" }, sum(row.compute_seconds), share)],
    ["On GPUs", sum(row.gpu_seconds)],
    ["Lost", sum(row.lost_seconds)],
    ["Energy", row.kwh === null ? "–" : `${row.kwh.toFixed(1)} kWh`],
    ["Jobs", whole(row.jobs)],
    ["Attempts", whole(row.attempts)],
  ];
  return el("tr", {}, ...cells.map(([label, content]) => el("td", { "data-label": label }, content)));
}

/** GPU-time: whole days would hide too much of a sum. @param {number} seconds */
function sum(seconds) {
  return seconds < 10 * 3600 ? duration(seconds) : `${whole(Math.round(seconds / 3600))} h`;
}

/** @param {[string, string][]} options @param {string} chosen */
function choice(options, chosen) {
  const select = el("select", {}, ...options.map(([value, text]) => el("option", { value }, text)));
  select.value = options.some(([value]) => value === chosen) ? chosen : options[0][0];
  return select;
}
