import assert from "node:assert/strict";
import test from "node:test";
import { cellsOf, chosen, edges, entropy, inWords, layoutOf, named, skips, stateName } from "../../api/dashboard/static/lib/cells.js";

/** @type {Genotype} */
const DERIVED = {
  normal: [
    ["sep_conv_3x3", 0],
    ["skip_connect", 1],
    ["skip_connect", 0],
    ["max_pool_3x3", 2],
  ],
  recurrent: [
    ["tanh", 0],
    ["identity", 1],
  ],
};

test("a family has its cells", () => {
  assert.deepEqual(cellsOf("cnn"), ["normal", "reduce"]);
  assert.deepEqual(cellsOf("rnn"), ["recurrent"]);
});

test("entropy is ln(primitives) for equal strengths and zero for a decided edge", () => {
  assert.ok(Math.abs(entropy([[1 / 3, 1 / 3, 1 / 3]]) - Math.log(3)) < 1e-12);
  assert.equal(entropy([[1, 0, 0]]), 0);
  assert.ok(Math.abs(entropy([[0.5, 0.5], [1, 0]]) - Math.log(2) / 2) < 1e-12); // biome-ignore format: a table
});

test("entropy is that of an edge's shares where its strengths do not add up to one", () => {
  assert.ok(Math.abs(entropy([[0.1, 0.1], [0.3, 0]]) - Math.log(2) / 2) < 1e-12); // biome-ignore format: a table
  assert.equal(entropy([[0, 0]]), 0);
});

test("edges lead from the inputs and all earlier nodes", () => {
  assert.deepEqual(edges(5, "cnn"), [[2, 0], [2, 1], [3, 0], [3, 1], [3, 2]]); // biome-ignore format: a table
  assert.deepEqual(edges(3, "rnn"), [[1, 0], [2, 0], [2, 1]]); // biome-ignore format: a table
});

test("states have the names of the pictures", () => {
  assert.deepEqual([0, 1, 2].map((index) => stateName(index, "cnn")), ["c(k−2)", "c(k−1)", "node 2"]); // biome-ignore format: one line
  assert.deepEqual(
    [0, 1].map((index) => stateName(index, "rnn")),
    ["h₀", "node 1"],
  );
});

test("a cnn node has two operations, an rnn node one", () => {
  assert.deepEqual(chosen(DERIVED, "normal", "cnn").map(({ node }) => node), [2, 2, 3, 3]); // biome-ignore format: one line
  assert.deepEqual(chosen(DERIVED, "recurrent", "rnn")[1], { node: 2, op: "identity", source: 1 });
  assert.deepEqual(chosen(null, "normal", "cnn"), []);
});

test("a sparse cell names the node of each edge", () => {
  /** @type {Genotype} */
  const sparse = { normal: [["sep_conv_3x3", 2, 0], ["skip_connect", 4, 1]] }; // biome-ignore format: a table
  assert.deepEqual(chosen(sparse, "normal", "cnn")[1], { node: 4, op: "skip_connect", source: 1 });
  assert.equal(skips(sparse, "normal", "cnn"), 1);
  assert.equal(inWords(sparse, "normal", "cnn"), "node 2 is sep_conv_3x3 of c(k−2); node 4 is skip_connect of c(k−1)");
});

test("a cell of NAS-Bench-201 has one input and all edges", () => {
  const layout = layoutOf({ family: "cnn", space: "nasbench201" });
  assert.equal(layoutOf({ family: "cnn", space: "darts" }), "cnn");
  assert.deepEqual(cellsOf(layout), ["cell"]);
  assert.deepEqual(edges(6, layout), [[1, 0], [2, 0], [2, 1], [3, 0], [3, 1], [3, 2]]); // biome-ignore format: a table
  /** @type {Genotype} */
  const genotype = { cell: [["skip_connect", 0], ["none", 0], ["nor_conv_3x3", 1], ["none", 0], ["none", 1], ["skip_connect", 2]] }; // biome-ignore format: a table
  assert.deepEqual(chosen(genotype, "cell", layout)[5], { node: 3, op: "skip_connect", source: 2 });
  assert.equal(skips(genotype, "cell", layout), 2);
  assert.match(
    inWords(genotype, "cell", layout),
    /^node 1 is skip_connect of c\(k−1\); node 2 is none of c\(k−1\) plus nor_conv_3x3 of node 1;/,
  );
  assert.deepEqual(["cell", "normal"].map(named), ["cell", "normal cell"]);
});

test("skip connections are counted in both families", () => {
  assert.equal(skips(DERIVED, "normal", "cnn"), 2);
  assert.equal(skips(DERIVED, "recurrent", "rnn"), 1);
});

test("a cell is described node by node", () => {
  assert.equal(
    inWords(DERIVED, "normal", "cnn"),
    "node 2 is sep_conv_3x3 of c(k−2) plus skip_connect of c(k−1); node 3 is skip_connect of c(k−2) plus max_pool_3x3 of node 2",
  );
});
