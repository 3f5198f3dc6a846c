import { get } from "./http.js";

const KINDS = ["ready", "status", "step", "epoch", "log", "checkpoint", "child", "end"];
const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 10_000;
// A browser has six connections to a host for all its tabs: one that nobody looks at gives its own back.
const HIDDEN_FOR = 60_000;

/**
 * Follow an event stream until `signal` aborts. A connection that breaks is made again behind the last event seen, so
 * that nothing is missed and nothing comes twice.
 *
 * onEvent(kind, data, id) for each event; onOpen() whenever a connection stands. Returning false from onEvent ends it.
 */
export function follow(path, { after = null, onEvent, onOpen = () => {}, signal }) {
  let source = null;
  let last = after;
  let pause = FIRST_PAUSE;
  let timer = null;
  let ended = false;

  function open() {
    clearTimeout(timer);
    const url = new URL(path, location.origin);
    if (last !== null) url.searchParams.set("after", last);
    source = new EventSource(url);
    source.onopen = () => {
      pause = FIRST_PAUSE;
      tell("live");
      onOpen();
    };
    source.onerror = () => {
      close();
      tell("broken");
      timer = setTimeout(open, pause * (0.75 + Math.random() / 2));
      pause = Math.min(2 * pause, LONGEST_PAUSE);
      // Only this tells an ended session from a service that is away.
      get("/workers", { signal }).catch(() => {});
    };
    for (const kind of KINDS) {
      source.addEventListener(kind, (message) => {
        if (message.lastEventId) last = message.lastEventId;
        if (onEvent(kind, JSON.parse(message.data), message.lastEventId) === false) end();
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
    tell("idle");
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

const WORDS = { live: "Live", broken: "Reconnecting…", idle: "" };

function tell(state) {
  const shown = document.getElementById("connection");
  if (shown.dataset.state === state) return;
  shown.dataset.state = state;
  shown.textContent = WORDS[state];
}
