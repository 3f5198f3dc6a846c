/** Notifies through the browser, once asked to, when a job ends. */
import { el, notice } from "../lib/dom.js";
import { ENDED, title } from "../lib/jobs.js";

export class Notifier {
  constructor() {
    this.button = el("button", { type: "button", "aria-pressed": "false", on: { click: () => this.toggle() } }, "Notify me");
    this.wanted = false;
  }

  /** @param {Job} job */
  update(job) {
    const ended = ENDED.has(job.status);
    // Browsers have no notifications on pages without HTTPS.
    this.button.hidden = ended || !("Notification" in window);
    if (!ended || !this.wanted) return;
    this.set(false);
    const headline = `${title(job)}: ${job.status}`;
    try {
      const shown = new Notification(headline, { body: job.error?.message ?? job.status_reason ?? "", tag: job.id });
      shown.onclick = () => window.focus();
    } catch {
      notice(headline); // Android allows them to service workers alone.
    }
  }

  async toggle() {
    const allowed = this.wanted || (await Notification.requestPermission()) === "granted";
    if (!allowed) return notice("The browser does not allow notifications of this page: its settings for the site can.");
    this.set(!this.wanted);
  }

  /** @param {boolean} wanted */
  set(wanted) {
    this.wanted = wanted;
    this.button.setAttribute("aria-pressed", String(wanted));
  }
}
