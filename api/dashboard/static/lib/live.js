/** Follows event streams and reconnects them. */
import { byId } from "./dom.js";
import { get } from "./http.js";

/** @type {EventKind[]} */
const KINDS = ["ready", "status", "step", "epoch", "log", "checkpoint", "preempted", "child", "end"];
const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 10_000;
// A browser allows six connections to a host for all its tabs: a hidden tab gives up its own.
const HIDDEN_FOR = 60_000;

/**
 * Follow an event stream until `signal` aborts. A broken connection is made again after the last event received, so that
 * no event is missed or comes twice.
 *
 * onEvent gets each event and ends the stream by returning false.
 * @param {string} path
 * @param {{ after?: number | null, onEvent: (event: JobEvent) => boolean | void, signal: AbortSignal }} options
 */
export function follow(path, { after = null, onEvent, signal }) {
  /** @type {EventSource | null} */
  let source = null;
  let last = after === null ? null : String(after);
  let pause = FIRST_PAUSE;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  let ended = false;

  function open() {
    clearTimeout(timer);
    const url = new URL(path, location.origin);
    if (last !== null) url.searchParams.set("after", last);
    source = new EventSource(url);
    source.onopen = () => {
      pause = FIRST_PAUSE;
      showState("live");
    };
    source.onerror = () => {
      close();
      showState("broken");
      timer = setTimeout(open, pause * (0.75 + Math.random() / 2));
      pause = Math.min(2 * pause, LONGEST_PAUSE);
      // A stream's error has no status: this request shows whether the session has ended.
      get("/workers", { signal }).catch(() => {});
    };
    for (const kind of KINDS) {
      source.addEventListener(kind, (message) => {
        if (message.lastEventId) last = message.lastEventId;
        if (onEvent(eventOf(kind, message)) === false) end();
      });
    }
  }

  function close() {
    source?.close();
    source = null;
  }

  function end() {
    ended = true;
    clearTimeout(timer);
    close();
    showState("idle");
  }

  function onVisibility() {
    clearTimeout(timer);
    if (ended) return;
    if (document.hidden) {
      timer = setTimeout(close, HIDDEN_FOR);
    } else if (source === null) {
      open();
    }
  }

  if (signal.aborted) return;
  document.addEventListener("visibilitychange", onVisibility, { signal });
  signal.addEventListener("abort", end, { once: true });
  open();
}

/**
 * The event of a message. In the stream of one job the data is the message itself and its id the sequence number; in
 * that of many jobs the message names the job.
 * @param {EventKind} kind
 * @param {MessageEvent<string>} message
 */
export function eventOf(kind, { data, lastEventId }) {
  const content = JSON.parse(data);
  const named = "job_id" in content ? content : { job_id: "", sequence: Number(lastEventId), data: content };
  return /** @type {JobEvent} */ ({ kind, ...named });
}

const LABELS = { live: "Live", broken: "Reconnecting…", idle: "" };

/** @param {keyof typeof LABELS} state */
function showState(state) {
  const shown = byId("connection");
  if (shown.dataset.state === state) return;
  shown.dataset.state = state;
  shown.textContent = LABELS[state];
}
