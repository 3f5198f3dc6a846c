/** Keeps in the tab the values typed into the form, apart for each kind and family of job. */

/** @typedef {{ kind: string, family: string }} Frame */

/** The drafts of one address: those of a clone are not those of a new job. */
export class Drafts {
  /** @param {URLSearchParams} query */
  constructor(query) {
    const others = [...query].filter(([name]) => name !== "kind" && name !== "family");
    this.of = new URLSearchParams(others).toString();
  }

  /** @param {Frame} frame */
  key({ kind, family }) {
    return `draft ${kind} ${family} ${this.of}`;
  }

  /** @param {Frame} frame @returns {Record<string, unknown> | null} */
  read(frame) {
    return JSON.parse(sessionStorage.getItem(this.key(frame)) ?? "null");
  }

  /** @param {Frame} frame @param {Record<string, unknown>} values */
  write(frame, values) {
    sessionStorage.setItem(this.key(frame), JSON.stringify(values));
  }

  /** @param {Frame} frame */
  remove(frame) {
    sessionStorage.removeItem(this.key(frame));
  }
}
