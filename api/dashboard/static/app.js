import { compareView } from "./compare/view.js";
import { datasetsView } from "./datasets.js";
import { jobView } from "./job/view.js";
import { jobsView } from "./jobs/view.js";
import { el, fill } from "./lib/dom.js";
import { get, onExpired, send, wordsFor } from "./lib/http.js";
import { route } from "./lib/router.js";
import { loginView } from "./login.js";
import { newView } from "./new/view.js";
import { workersView } from "./workers.js";

const VIEWS = {
  jobs: { title: "Jobs", show: (main, at, signal) => (at.parts[1] ? jobView : jobsView)(main, at, signal) },
  new: { title: "New job", show: newView },
  compare: { title: "Compare", show: compareView },
  workers: { title: "Workers", show: workersView },
  datasets: { title: "Data sets", show: datasetsView },
};

const main = document.getElementById("main");
let locked = false;
let first = true;

const again = route((at, signal) => {
  if (locked) return;
  const name = at.parts[0] in VIEWS ? at.parts[0] : "jobs";
  document.title = `${VIEWS[name].title} · Dartboard`;
  for (const link of document.querySelectorAll(".top nav a")) {
    if (link.hash === `#/${name}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.getElementById("connection").textContent = "";
  delete document.getElementById("connection").dataset.state;
  fill(main);
  Promise.resolve(VIEWS[name].show(main, at, signal)).catch((error) => {
    if (signal.aborted) return;
    fill(main, el("h1", {}, VIEWS[name].title), el("p", { class: "problem" }, wordsFor(error)));
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

/** Who is looking: with keys, their name and a way out. */
async function greet() {
  try {
    const session = await get("/session");
    if (session.owner === null) return;
    const leave = el("button", { type: "button", class: "plain" }, "Log out");
    leave.addEventListener("click", async () => {
      await send("DELETE", "/session").catch(() => {});
      lock();
    });
    fill(document.getElementById("session"), `${session.owner} (${session.role})`, leave);
  } catch (error) {
    if (error.status === 401) lock();
  }
}

function lock() {
  if (locked) return;
  locked = true;
  fill(document.getElementById("session"));
  document.title = "Log in · Dartboard";
  loginView(main, () => {
    locked = false;
    greet();
    again();
  });
}
