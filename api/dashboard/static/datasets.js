/** Lists the data sets and uploads new ones. */

import { caveatOf, stateOf } from "./lib/datasets.js";
import { el, field, fill, notice, scrolling, table } from "./lib/dom.js";
import { bytes, whole } from "./lib/format.js";
import { get, problemOf, send, wordsFor } from "./lib/http.js";

const FIRST_PAUSE_MS = 300;
const LONGEST_PAUSE_MS = 4000;
const NAME_RULE = "Up to 100 letters, digits, '.', '_' or '-', the first one a letter or digit.";
/** The mark of each state. @type {Record<string, string>} */
const MARKS = { ready: "succeeded", failed: "failed", checking: "running", "downloads on first use": "queued", "needs files": "paused" };

/** @type {View} */
export function datasetsView(main, _, signal) {
  const body = el("tbody");
  const heads = ["Name", "State", "Kind", "Train / valid / test", "Classes or words", "Size", el("span", { class: "unseen" }, "Actions")];
  fill(
    main,
    el("div", { class: "head" }, el("h1", {}, "Data sets")),
    el("div", { class: "stack" }, upload(load, signal), scrolling("All data sets", table(heads, body, { class: "cards" }))),
  );
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  let pause = FIRST_PAUSE_MS;
  signal.addEventListener("abort", () => clearTimeout(timer));
  load();

  /** Load the list, and again while a data set is being checked. */
  async function load() {
    clearTimeout(timer);
    try {
      const { items } = await get("/datasets", { signal });
      fill(body, ...items.map((each) => row(each, load)));
      if (items.some(({ state }) => state === "checking")) {
        timer = setTimeout(load, pause);
        pause = Math.min(2 * pause, LONGEST_PAUSE_MS);
      } else pause = FIRST_PAUSE_MS;
    } catch (error) {
      if (!signal.aborted) notice(wordsFor(error));
    }
  }
}

/** @param {Dataset} set @param {() => void} changed */
function row(set, changed) {
  const { name, kind, sizes, classes, words, bytes: size, source, error, image } = set;
  const parts = sizes ? [sizes.train, sizes.valid, sizes.test].map(whole).join(" / ") : "–";
  const shape = image ? ` ${image.width}×${image.height}${image.channels === 1 ? " grey" : ""}` : "";
  const state = stateOf(set);
  const about = error ?? caveatOf(set);
  const remove = el("button", { type: "button", class: "danger" }, "Delete", el("span", { class: "unseen" }, ` ${name}`));
  remove.addEventListener("click", async () => {
    if (!confirm(`Delete ${name}?`)) return;
    try {
      await send("DELETE", `/datasets/${encodeURIComponent(name)}`);
    } catch (problem) {
      notice(wordsFor(problem));
    }
    changed();
  });
  /** @type {[string | null, Child][]} */
  const cells = [
    [null, el("div", {}, el("strong", {}, name), about && el("div", { class: error ? "problem" : "hint" }, about))],
    [null, el("span", { class: `status ${MARKS[state]}` }, state)],
    ["Kind", `${kind}${shape}`],
    ["Train / valid / test", parts],
    ["Classes or words", classes ? `${whole(classes)} classes` : words ? `${whole(words)} words` : "–"],
    ["Size", bytes(size)],
    [null, source === "built-in" ? el("span", { class: "muted" }, "built\u00a0in") : remove],
  ];
  return el("tr", {}, ...cells.map(([label, content]) => el("td", { "data-label": label }, content)));
}

/** @param {() => void} changed @param {AbortSignal} signal */
function upload(changed, signal) {
  const name = el("input", { type: "text", required: true, pattern: "[A-Za-z0-9][A-Za-z0-9._\\-]{0,99}", autocomplete: "off" });
  name.addEventListener("input", () => name.setCustomValidity(name.validity.patternMismatch ? NAME_RULE : ""));
  const file = el("input", { type: "file", required: true, accept: ".zip,.tar,.gz,.tgz,.xz,.bz2,.npz" });
  const size = el("input", { type: "number", min: 4, max: 1024, placeholder: "as they are" });
  const problem = el("p", { class: "problem", role: "alert" });
  const bar = el("progress", { max: 1, value: 0, "aria-label": "Upload" });
  const state = el("output", { class: "small" });
  const sending = el("div", { class: "wide", hidden: true }, el("div", { class: "bar-text" }, state), bar);
  const button = el("button", { class: "primary" }, "Upload");
  const form = el(
    "form",
    { class: "panel stack" },
    el("h2", {}, "Upload a data set"),
    el(
      "p",
      { class: "hint" },
      "An archive of class folders with images, of arrays (MNIST, CIFAR, .npz), or of train.txt, valid.txt and test.txt.",
    ),
    el("div", { class: "form-grid" }, field("Name", name), field("Archive", file), field("Scale to pixels", size), sending),
    problem,
    el("div", { class: "row" }, button),
  );
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    problem.textContent = "";
    button.disabled = true;
    sending.hidden = false;
    try {
      await put(contents(), showProgress, signal);
      form.reset();
      notice("The data set is uploaded; the service is checking it.", { good: true });
      changed();
    } catch (error) {
      problem.textContent = wordsFor(error);
    } finally {
      button.disabled = false;
      sending.hidden = true;
    }
  });
  return form;

  /** The service reads the form in order and needs the other fields before the file. */
  function contents() {
    const data = new FormData();
    data.append("name", name.value.trim());
    if (size.value) data.append("size", size.value);
    if (file.files) data.append("file", file.files[0]);
    return data;
  }

  /** @param {number} done */
  function showProgress(done) {
    bar.value = done;
    state.textContent = done < 1 ? `${Math.round(100 * done)} % sent` : "sent; the service is storing it";
  }
}

/**
 * Upload with progress, which fetch does not report.
 * @param {FormData} data
 * @param {(done: number) => void} progress
 * @param {AbortSignal} signal
 * @returns {Promise<void>}
 */
function put(data, progress, signal) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", "/datasets");
    request.upload.onprogress = ({ loaded, total }) => progress(total ? loaded / total : 0);
    request.onload = () => (request.status < 300 ? resolve() : reject(problemOf(request.status, request.responseText)));
    request.onerror = () => reject(new TypeError("no answer"));
    request.onabort = () => reject(new DOMException("left", "AbortError"));
    signal.addEventListener("abort", () => request.abort());
    request.send(data);
  });
}
