/** Starts the page: shows the view of each place, the session and the login. */
import { byId, el, fill } from "./lib/dom.js";
import { get, isAway, onExpired, Problem, send, wordsFor } from "./lib/http.js";
import { listen } from "./lib/keyboard.js";
import { route, viewOf } from "./lib/router.js";
import { showInTab } from "./lib/tab.js";
import { preload, preloadAll } from "./preload.js";

// A view's modules are imported when the view is first shown.
/** @type {Record<string, { title: string, load: () => Promise<View> }>} */
const VIEWS = {
  jobs: { title: "Jobs", load: async () => (await import("./jobs/view.js")).jobsView },
  job: { title: "Job", load: async () => (await import("./job/view.js")).jobView },
  new: { title: "New job", load: async () => (await import("./new/view.js")).newView },
  compare: { title: "Compare", load: async () => (await import("./compare/view.js")).compareView },
  leaderboard: { title: "Leaderboard", load: async () => (await import("./leaderboard/view.js")).leaderboardView },
  workers: { title: "Workers", load: async () => (await import("./workers.js")).workersView },
  usage: { title: "Usage", load: async () => (await import("./usage.js")).usageView },
  datasets: { title: "Data sets", load: async () => (await import("./datasets.js")).datasetsView },
  keys: { title: "Keys", load: async () => (await import("./keys.js")).keysView },
};

/** @type {{ title: string, load: () => Promise<View> }} */
const NO_PAGE = {
  title: "Page not found",
  load: async () => () => {
    throw new Problem(404, `The dashboard has no page at ${location.hash}: its address may be mistyped.`);
  },
};

const FIRST_PAUSE = 1000;
const LONGEST_PAUSE = 10_000;
const main = byId("main");
let locked = false;
let first = true;

const { again, leave } = route((place, signal) => {
  if (locked) return;
  const name = viewOf(place);
  const { title, load } = Object.hasOwn(VIEWS, name) ? VIEWS[name] : NO_PAGE;
  showInTab(title);
  for (const link of document.querySelectorAll(".top nav a")) {
    if (link.getAttribute("href") === `#/${name === "job" ? "jobs" : name}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  clearConnection();
  fill(main);
  preload(name);
  open(title, load, place, signal);
  // A new view starts at its top; the first view keeps the browser's position.
  if (!first) {
    scrollTo(0, 0);
    main.focus({ preventScroll: true });
  }
  first = false;
});

byId("skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});

listen();
onExpired(lock);
showSession();
preloadAll();

function clearConnection() {
  const connection = byId("connection");
  connection.textContent = "";
  delete connection.dataset.state;
}

/**
 * Show a view; while the service is away, try again and again.
 * @param {string} title @param {() => Promise<View>} load @param {Place} place @param {AbortSignal} signal
 */
async function open(title, load, place, signal) {
  for (let pause = FIRST_PAUSE; !signal.aborted && !locked; pause = Math.min(2 * pause, LONGEST_PAUSE)) {
    try {
      return await show(load, place, signal);
    } catch (error) {
      if (signal.aborted || locked) return;
      if (error instanceof Problem && error.status === 404) return notFound(error.message);
      const away = isAway(error);
      const again = el("button", { type: "button" }, "Try again");
      fill(main, el("h1", {}, title), el("p", { class: "problem" }, wordsFor(error)), away ? el("p", { class: "row" }, again) : null);
      if (!away) return;
      await new Promise((resolve) => {
        again.addEventListener("click", resolve);
        setTimeout(resolve, pause);
      });
    }
  }
}

/** @param {string} why */
function notFound(why) {
  showInTab("Not found");
  const ways = el("p", { class: "row" }, el("a", { class: "button primary", href: "#/jobs" }, "All jobs"));
  fill(
    main,
    el("div", { class: "panel stack" }, el("h1", {}, "Not found"), el("p", {}, `${why.charAt(0).toUpperCase()}${why.slice(1)}`), ways),
  );
}

/** @param {() => Promise<View>} load @param {Place} place @param {AbortSignal} signal */
async function show(load, place, signal) {
  const view = await load();
  if (!signal.aborted) await view(main, place, signal);
}

/** Show who is logged in and a button to log out. A service without keys has no session. */
async function showSession() {
  try {
    const session = await get("/session");
    if (session.owner === null) return;
    const logOut = el("button", { type: "button", class: "plain" }, "Log out");
    logOut.addEventListener("click", async () => {
      // The service closes the streams of an ended session.
      leave();
      await send("DELETE", "/session").catch(() => {});
      // Who signed in at the identity provider leaves it, too.
      if (session.person !== null) location.assign("/session/logout");
      else lock();
    });
    const keys = session.person !== null && el("a", { href: "#/keys" }, "Keys");
    fill(byId("session"), `${session.person ?? session.owner} (${session.role})`, keys, logOut);
  } catch (error) {
    if (error instanceof Problem && error.status === 401) lock();
  }
}

/** Show the login in place of the view. The page sends no other request until there is a session. */
async function lock() {
  if (locked) return;
  locked = true;
  leave();
  clearConnection();
  fill(byId("session"));
  showInTab("Log in");
  const { loginView } = await import("./login.js");
  loginView(main, () => {
    locked = false;
    showSession();
    again();
  });
}
