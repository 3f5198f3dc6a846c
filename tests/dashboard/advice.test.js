import assert from "node:assert/strict";
import test from "node:test";
import { signed } from "../../api/dashboard/static/new/advice.js";

test("a difference has its sign and the ends of its interval", () => {
  assert.equal(signed({ mean: 5.75, low: 4.9, high: 6.44 }), "+5.75 (+4.90 to +6.44)");
  assert.equal(signed({ mean: -0.01, low: -0.47, high: 0.4 }), "−0.01 (−0.47 to +0.40)");
  assert.equal(signed(null), "–");
});
