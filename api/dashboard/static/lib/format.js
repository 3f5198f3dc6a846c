/** Formats times, sizes, metrics and names for people. */

/**
 * 3725 -> "1 h 2 min".
 * @param {number | null} [seconds]
 */
export function duration(seconds) {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return "–";
  if (seconds < 60) return `${Math.max(0, Math.round(seconds))} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours} h ${minutes % 60} min`;
  return `${Math.round(hours / 24)} days`;
}

/**
 * Seconds between two times; until now without the second.
 * @param {string} from
 * @param {string | null} [to]
 */
export function secondsBetween(from, to) {
  return ((to ? Date.parse(to) : Date.now()) - Date.parse(from)) / 1000;
}

/** @param {string} time */
export function ago(time) {
  const seconds = secondsBetween(time);
  return seconds < 5 ? "just now" : `${duration(seconds)} ago`;
}

/** @param {string} time */
export function clock(time) {
  return new Date(time).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" });
}

/** @param {number | null} [count] */
export function bytes(count) {
  if (count === null || count === undefined) return "–";
  let rest = count;
  for (const unit of ["B", "kB", "MB", "GB"]) {
    if (rest < 1000) return `${unit === "B" ? rest : rest.toFixed(1)} ${unit}`;
    rest /= 1000;
  }
  return `${rest.toFixed(1)} TB`;
}

/** @param {number | null} [count] */
export function whole(count) {
  return count === null || count === undefined ? "–" : count.toLocaleString("en-GB");
}

/**
 * "1 job", "2 jobs".
 * @param {number} count
 * @param {string} one
 */
export function plural(count, one) {
  return `${whole(count)} ${one}${count === 1 ? "" : "s"}`;
}

/**
 * A metric with its unit: accuracies in percent, losses in nats.
 * @param {string} name
 * @param {unknown} value
 */
export function metric(name, value) {
  if (typeof value !== "number") return "–";
  if (/_(accuracy|top5|calibration_error)(_mean|_std)?$/.test(name)) return `${value.toFixed(2)} %`;
  if (name.endsWith("_loss")) return value.toFixed(4);
  if (name.endsWith("_perplexity")) return value.toFixed(2);
  return Number.isInteger(value) ? String(value) : value.toPrecision(4);
}

/**
 * "validation_accuracy" -> "validation accuracy".
 * @param {string} name
 */
export function words(name) {
  return name.replaceAll("_", " ");
}

/** @param {string} text */
export function capital(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** @param {string} id */
export function shortId(id) {
  return id.slice(-8);
}

/**
 * A spec's value as one line.
 * @param {unknown} of
 */
export function value(of) {
  if (of === null || of === undefined) return "–";
  return typeof of === "object" ? JSON.stringify(of) : String(of);
}

/**
 * A count in few characters: 3250000 -> "3.25 M".
 * @param {number} value
 */
export function short(value) {
  for (const [unit, size] of /** @type {[string, number][]} */ ([
    ["G", 1e9],
    ["M", 1e6],
    ["k", 1e3],
  ])) {
    if (value >= size) return `${Number((value / size).toPrecision(3))} ${unit}`;
  }
  return String(Number(value.toPrecision(3)));
}
