import { el, fill } from "./lib/dom.js";
import { get, onExpired, send, wordsFor } from "./lib/http.js";
import { route, viewOf } from "./lib/router.js";
import { preload, preloadAll } from "./preload.js";

// A view's modules are fetched when it is gone to, or when the page has nothing better to do.
const VIEWS = {
  jobs: { title: "Jobs", show: async () => (await import("./jobs/view.js")).jobsView },
  job: { title: "Job", show: async () => (await import("./job/view.js")).jobView },
  new: { title: "New job", show: async () => (await import("./new/view.js")).newView },
  compare: { title: "Compare", show: async () => (await import("./compare/view.js")).compareView },
  workers: { title: "Workers", show: async () => (await import("./workers.js")).workersView },
  datasets: { title: "Data sets", show: async () => (await import("./datasets.js")).datasetsView },
};

const main = document.getElementById("main");
let locked = false;
let first = true;

const { again, leave } = route((at, signal) => {
  if (locked) return;
  const name = Object.hasOwn(VIEWS, viewOf(at)) ? viewOf(at) : "jobs";
  const view = VIEWS[name];
  document.title = `${view.title} · Dartboard`;
  for (const link of document.querySelectorAll(".top nav a")) {
    if (link.hash === `#/${name === "job" ? "jobs" : name}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  disconnected();
  fill(main);
  preload(name);
  show(view, at, signal).catch((error) => {
    if (signal.aborted || locked) return;
    fill(main, el("h1", {}, view.title), el("p", { class: "problem" }, wordsFor(error)));
  });
  // A new view is read from its beginning; the first one is where the reader is anyway.
  if (!first) {
    scrollTo(0, 0);
    main.focus({ preventScroll: true });
  }
  first = false;
});

document.getElementById("skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});

onExpired(lock);
greet();
preloadAll();

function disconnected() {
  const connection = document.getElementById("connection");
  connection.textContent = "";
  delete connection.dataset.state;
}

async function show(view, at, signal) {
  const shown = await view.show();
  if (!signal.aborted) await shown(main, at, signal);
}

/** Who is looking: with keys, their name and a way out. */
async function greet() {
  try {
    const session = await get("/session");
    if (session.owner === null) return;
    const logOut = el("button", { type: "button", class: "plain" }, "Log out");
    logOut.addEventListener("click", async () => {
      // The service cuts the streams of a session that has ended.
      leave();
      await send("DELETE", "/session").catch(() => {});
      lock();
    });
    fill(document.getElementById("session"), `${session.owner} (${session.role})`, logOut);
  } catch (error) {
    if (error.status === 401) lock();
  }
}

async function lock() {
  if (locked) return;
  locked = true;
  // Nothing is asked for, and nothing said of it, until there is a session.
  leave();
  disconnected();
  fill(document.getElementById("session"));
  document.title = "Log in · Dartboard";
  const { loginView } = await import("./login.js");
  loginView(main, () => {
    locked = false;
    greet();
    again();
  });
}
