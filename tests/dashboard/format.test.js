import assert from "node:assert/strict";
import test from "node:test";
import {
  ago,
  bytes,
  capital,
  duration,
  metric,
  plural,
  secondsBetween,
  shortId,
  value,
  whole,
  words,
} from "../../api/dashboard/static/lib/format.js";

test("durations have two units at most", () => {
  assert.deepEqual([0, 59.4, 60, 3599, 3725, 47 * 3600, 50 * 3600].map(duration), [
    "0 s",
    "59 s",
    "1 min",
    "1 h 0 min",
    "1 h 2 min",
    "47 h 0 min",
    "2 days",
  ]);
});

test("an unknown duration is a dash, a negative one zero", () => {
  assert.deepEqual([null, undefined, Number.POSITIVE_INFINITY, -3].map(duration), ["–", "–", "–", "0 s"]);
});

test("a duration ends at its end, or now", (t) => {
  t.mock.timers.enable({ apis: ["Date"], now: Date.parse("2026-01-01T00:10:00Z") });
  assert.equal(secondsBetween("2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z"), 60);
  assert.equal(secondsBetween("2026-01-01T00:00:00Z", null), 600);
});

test("times within five seconds are just now", (t) => {
  t.mock.timers.enable({ apis: ["Date"], now: Date.parse("2026-01-01T00:10:00Z") });
  assert.equal(ago("2026-01-01T00:09:56Z"), "just now");
  assert.equal(ago("2026-01-01T00:09:55Z"), "5 s ago");
  assert.equal(ago("2026-01-01T00:08:00Z"), "2 min ago");
});

test("sizes have decimal units", () => {
  assert.deepEqual([0, 999, 1000, 1_234_567, 5e9, 2e12, null].map(bytes), ["0 B", "999 B", "1.0 kB", "1.2 MB", "5.0 GB", "2.0 TB", "–"]);
});

test("accuracies are percentages, losses have four places, perplexities two", () => {
  assert.equal(metric("validation_accuracy", 97.123), "97.12 %");
  assert.equal(metric("test_accuracy_std", 0.1), "0.10 %");
  assert.equal(metric("test_top5", 99), "99.00 %");
  assert.equal(metric("train_loss", 0.123456), "0.1235");
  assert.equal(metric("test_perplexity", 55.554), "55.55");
  assert.equal(metric("parameters", 1200), "1200");
  assert.equal(metric("weight", 0.123456), "0.1235");
  assert.equal(metric("train_loss", null), "–");
});

test("names become words", () => {
  assert.equal(capital(words("test_accuracy_mean")), "Test accuracy mean");
  assert.equal(capital(""), "");
  assert.equal(shortId("01a204dd-203c-7526-803f-c3ac98d05626"), "98d05626");
});

test("numbers have thousands and values one line", () => {
  assert.deepEqual([whole(1234567), whole(null)], ["1,234,567", "–"]);
  assert.deepEqual([value([1, 2]), value(false), value(null)], ["[1,2]", "false", "–"]);
});

test("one thing is named without an s", () => {
  assert.deepEqual([plural(1, "final run"), plural(0, "job"), plural(1200, "job")], ["1 final run", "0 jobs", "1,200 jobs"]);
});
