/** 3725 -> "1 h 2 min". */
export function duration(seconds) {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return "–";
  if (seconds < 60) return `${Math.max(0, Math.round(seconds))} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours} h ${minutes % 60} min`;
  return `${Math.round(hours / 24)} days`;
}

export function ago(time) {
  const seconds = (Date.now() - Date.parse(time)) / 1000;
  return seconds < 5 ? "just now" : `${duration(seconds)} ago`;
}

export function clock(time) {
  return new Date(time).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" });
}

export function bytes(count) {
  if (count === null || count === undefined) return "–";
  for (const unit of ["B", "kB", "MB", "GB"]) {
    if (count < 1000) return `${unit === "B" ? count : count.toFixed(1)} ${unit}`;
    count /= 1000;
  }
  return `${count.toFixed(1)} TB`;
}

export function whole(count) {
  return count === null || count === undefined ? "–" : count.toLocaleString("en-GB");
}

/** A metric with its unit: accuracies are percent, losses nats. */
export function metric(name, value) {
  if (value === null || value === undefined) return "–";
  if (/_(accuracy|top5|calibration_error)(_mean|_std)?$/.test(name)) return `${value.toFixed(2)} %`;
  if (name.endsWith("_loss")) return value.toFixed(4);
  if (name.endsWith("_perplexity")) return value.toFixed(2);
  return Number.isInteger(value) ? String(value) : value.toPrecision(4);
}

/** "validation_accuracy" -> "validation accuracy". */
export function words(name) {
  return name.replaceAll("_", " ");
}

export function capital(text) {
  return text[0].toUpperCase() + text.slice(1);
}

export function shortId(id) {
  return id.slice(-8);
}

/** A spec's value as one line. */
export function value(of) {
  if (of === null || of === undefined) return "–";
  return typeof of === "object" ? JSON.stringify(of) : String(of);
}
