/** Mathematics of the alphas: rows are edges, columns primitives. */

// What costs no parameters to keep: many of them in a cell are the known way in which a search collapses.
const SKIPS = new Set(["skip_connect", "identity"]);

export function cellsOf(family) {
  return family === "rnn" ? ["recurrent"] : ["normal", "reduce"];
}

export function softmax(row) {
  const most = Math.max(...row);
  const powers = row.map((alpha) => Math.exp(alpha - most));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / sum);
}

/** Mean entropy of a table's edges in nats; ln(primitives) when nothing is decided, 0 when all is. */
export function entropy(table) {
  const each = table.map((row) => softmax(row).reduce((sum, w) => sum - (w > 0 ? w * Math.log(w) : 0), 0));
  return each.reduce((a, b) => a + b, 0) / each.length;
}

/** [node, source] of each row: node i sees the inputs and all nodes before it. */
export function edges(count, family) {
  const found = [];
  for (let node = family === "rnn" ? 1 : 2; found.length < count; node += 1) {
    for (let source = 0; source < node && found.length < count; source += 1) found.push([node, source]);
  }
  return found;
}

/** What a state is called in the pictures. */
export function stateName(index, family) {
  if (family === "rnn") return index === 0 ? "h₀" : `node ${index}`;
  return index === 0 ? "c(k−2)" : index === 1 ? "c(k−1)" : `node ${index}`;
}

/** The derived cell's chosen operations: [{ node, op, source }]. */
export function chosen(genotype, cell, family) {
  const perNode = family === "rnn" ? 1 : 2;
  const first = family === "rnn" ? 1 : 2;
  return (genotype?.[cell] ?? []).map(([op, source], index) => ({
    node: first + Math.floor(index / perNode),
    op,
    source,
  }));
}

export function skips(genotype, cell, family) {
  return chosen(genotype, cell, family).filter(({ op }) => SKIPS.has(op)).length;
}

/** The cell in words, for whoever does not see the picture. */
export function inWords(genotype, cell, family) {
  const nodes = new Map();
  for (const { node, op, source } of chosen(genotype, cell, family)) {
    nodes.set(node, [...(nodes.get(node) ?? []), `${op} of ${stateName(source, family)}`]);
  }
  return [...nodes].map(([node, parts]) => `${stateName(node, family)} is ${parts.join(" plus ")}`).join("; ");
}
