/** Computes the entropy of operation strengths and describes cells. A table has a row per edge, a column per primitive. */

// Operations without parameters. A search that collapses chooses many of them.
const PARAMETER_FREE = new Set(["skip_connect", "identity"]);

/** @param {Family} family */
export function cellsOf(family) {
  return family === "rnn" ? ["recurrent"] : ["normal", "reduce"];
}

/**
 * Mean entropy of a table's edges in nats: ln(primitives) when all strengths are equal, 0 when one operation has all of it.
 * @param {number[][]} table of strengths, whose rows need not sum up to 1
 */
export function entropy(table) {
  const each = table.map((row) => {
    const total = row.reduce((sum, strength) => sum + strength, 0);
    return row.reduce((sum, strength) => sum - (strength > 0 ? (strength / total) * Math.log(strength / total) : 0), 0);
  });
  return each.reduce((a, b) => a + b, 0) / each.length;
}

/**
 * [node, source] of each row: the sources of a node are the cell's inputs and all nodes before it.
 * @param {number} count
 * @param {Family} family
 */
export function edges(count, family) {
  /** @type {[number, number][]} */
  const found = [];
  for (let node = family === "rnn" ? 1 : 2; found.length < count; node += 1) {
    for (let source = 0; source < node && found.length < count; source += 1) found.push([node, source]);
  }
  return found;
}

/**
 * A state's name in the pictures.
 * @param {number} index
 * @param {Family} family
 */
export function stateName(index, family) {
  if (family === "rnn") return index === 0 ? "h₀" : `node ${index}`;
  return ["c(k−2)", "c(k−1)"][index] ?? `node ${index}`;
}

/**
 * The operations of a derived cell.
 * @param {Genotype | null | undefined} genotype
 * @param {string} cell
 * @param {Family} family
 */
export function chosen(genotype, cell, family) {
  const perNode = family === "rnn" ? 1 : 2;
  return (genotype?.[cell] ?? []).map((edge, index) => {
    // A sparse cell names the node of each edge.
    const [op, node, source] = edge.length === 3 ? edge : [edge[0], perNode + Math.floor(index / perNode), edge[1]];
    return { node, op, source };
  });
}

/**
 * How many operations of a derived cell are skip connections.
 * @param {Genotype | null | undefined} genotype
 * @param {string} cell
 * @param {Family} family
 */
export function skips(genotype, cell, family) {
  return chosen(genotype, cell, family).filter(({ op }) => PARAMETER_FREE.has(op)).length;
}

/**
 * The cell in words, as its picture's alternative text.
 * @param {Genotype | null | undefined} genotype
 * @param {string} cell
 * @param {Family} family
 */
export function inWords(genotype, cell, family) {
  const nodes = Map.groupBy(chosen(genotype, cell, family), ({ node }) => node);
  const described = [...nodes].map(([node, parts]) => {
    const inputs = parts.map(({ op, source }) => `${op} of ${stateName(source, family)}`);
    return `${stateName(node, family)} is ${inputs.join(" plus ")}`;
  });
  return described.join("; ");
}
