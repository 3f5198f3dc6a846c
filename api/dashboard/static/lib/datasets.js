/** Tells which data sets jobs can use, and what is missing for the others. */

/**
 * Whether the files of a published set are there, or the state of an upload's check.
 * @param {Dataset} set
 */
export function stateOf({ availability, state }) {
  return availability ?? state;
}

/**
 * Whether the service takes a job on this data set: not before its check, and not after a failed one.
 * @param {Dataset} set
 */
export function isOffered({ state }) {
  return state === "ready";
}

/**
 * What a job on this data set waits for or lacks, in a sentence; null if the set is ready.
 * @param {Dataset} set
 */
export function caveatOf(set) {
  const { held_by, files, error } = set;
  switch (stateOf(set)) {
    case "downloads on first use":
      return `${holders(held_by)} The first job on ${held_by?.length ? "each other" : "a"} worker downloads them, which needs a network.`;
    case "needs files":
      return `${holders(held_by)} Put ${list(files ?? [])} under the data root of every worker.`;
    case "checking":
      return "The service is checking it.";
    case "failed":
      return `Its check failed: ${error}`;
    default:
      return null;
  }
}

/** @param {string[] | null | undefined} workers */
function holders(workers) {
  return workers?.length
    ? `Of the connected workers, ${list(workers)} ${workers.length > 1 ? "have" : "has"} its files.`
    : "No worker has its files.";
}

/** @param {string[]} words */
function list(words) {
  return words.length > 1 ? `${words.slice(0, -1).join(", ")} and ${words.at(-1)}` : words.join();
}
