/** Shows a job's labels and notes, and changes them and its name in place. */
import { el, field, fill, notice } from "../lib/dom.js";
import { send, wordsFor } from "../lib/http.js";
import { asLines, labelLinks, labelsIn } from "../lib/labels.js";
import { markdown } from "../lib/markdown.js";

export class About {
  /** @param {JobState} state @param {(job: Job) => void} changed */
  constructor({ job }, changed) {
    this.job = job;
    this.changed = changed;
    this.shown = "";
    this.labels = el("p", { class: "row" });
    this.notes = el("div", { class: "notes stack" });
    this.edit = el("button", { type: "button", class: "plain link", on: { click: () => this.open() } }, "Edit name, labels and notes");
    this.display = el("div", { class: "stack" }, this.labels, this.notes, this.edit);
    this.name = el("input", { maxlength: 200 });
    this.labelLines = el("textarea", { rows: 3 });
    this.source = el("textarea", { rows: 8 });
    this.form = el(
      "form",
      { class: "panel stack", hidden: true },
      field("Name", this.name),
      field("Labels", this.labelLines, { hint: el("p", { class: "hint" }, "One a line: key=value") }),
      field("Notes", this.source, { hint: el("p", { class: "hint" }, "Markdown: headings, lists, code, emphasis and links") }),
      el(
        "div",
        { class: "row" },
        el("button", { class: "primary" }, "Save"),
        el("button", { type: "button", on: { click: () => this.close() } }, "Discard"),
      ),
    );
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.save();
    });
    this.node = el("section", { "aria-label": "Labels and notes" }, this.display, this.form);
  }

  /** @param {JobState} state */
  update({ job }) {
    this.job = job;
    const shown = JSON.stringify([job.labels, job.notes]);
    if (this.shown === shown) return;
    this.shown = shown;
    const links = labelLinks(job.labels);
    this.labels.hidden = !links.length;
    fill(this.labels, ...links);
    fill(this.notes, ...markdown(job.notes ?? ""));
    this.notes.hidden = !job.notes;
  }

  open() {
    this.name.value = this.job.name ?? "";
    this.labelLines.value = asLines(this.job.labels).join("\n");
    this.source.value = this.job.notes ?? "";
    this.show(true);
    this.name.focus();
  }

  close() {
    this.show(false);
    this.edit.focus();
  }

  /** @param {boolean} editing */
  show(editing) {
    this.form.hidden = !editing;
    this.display.hidden = editing;
  }

  async save() {
    try {
      const body = {
        name: this.name.value.trim() || null,
        labels: labelsIn(this.labelLines.value),
        notes: this.source.value.trim() || null,
      };
      this.changed(/** @type {Job} */ (await send("PATCH", this.job.links.self, { body })));
      this.close();
    } catch (error) {
      notice(wordsFor(error));
    }
  }
}
