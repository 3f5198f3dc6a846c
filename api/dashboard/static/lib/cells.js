/** Computes the entropy of operation strengths and describes cells. A table has a row per edge, a column per primitive. */

// Operations without parameters. A search that collapses chooses many of them.
const PARAMETER_FREE = new Set(["skip_connect", "identity"]);

/**
 * How a job's cells are laid out: by its family, or its space.
 * @param {{ family: Family, space?: unknown }} spec
 * @returns {CellLayout}
 */
export function layoutOf({ family, space }) {
  return space === "nasbench201" ? space : family;
}

/** @param {CellLayout} layout */
export function cellsOf(layout) {
  if (layout === "nasbench201") return ["cell"];
  return layout === "rnn" ? ["recurrent"] : ["normal", "reduce"];
}

/** @param {string} cell */
export function named(cell) {
  return cell === "cell" ? cell : `${cell} cell`;
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
 * @param {CellLayout} layout
 */
export function edges(count, layout) {
  /** @type {[number, number][]} */
  const found = [];
  for (let node = layout === "cnn" ? 2 : 1; found.length < count; node += 1) {
    for (let source = 0; source < node && found.length < count; source += 1) found.push([node, source]);
  }
  return found;
}

/**
 * A state's name in the pictures.
 * @param {number} index
 * @param {CellLayout} layout
 */
export function stateName(index, layout) {
  if (layout === "nasbench201") return index === 0 ? "c(k−1)" : `node ${index}`;
  if (layout === "rnn") return index === 0 ? "h₀" : `node ${index}`;
  return ["c(k−2)", "c(k−1)"][index] ?? `node ${index}`;
}

/**
 * The operations of a derived cell.
 * @param {Genotype | null | undefined} genotype
 * @param {string} cell
 * @param {CellLayout} layout
 */
export function chosen(genotype, cell, layout) {
  const kept = genotype?.[cell] ?? [];
  const rows = layout === "nasbench201" ? edges(kept.length, layout) : null;
  const perNode = layout === "rnn" ? 1 : 2;
  return kept.map((edge, index) => {
    // A sparse cell names the node of each edge.
    const [op, node, source] = edge.length === 3 ? edge : [edge[0], rows?.[index][0] ?? perNode + Math.floor(index / perNode), edge[1]];
    return { node, op, source };
  });
}

/**
 * How many operations of a derived cell are skip connections.
 * @param {Genotype | null | undefined} genotype
 * @param {string} cell
 * @param {CellLayout} layout
 */
export function skips(genotype, cell, layout) {
  return chosen(genotype, cell, layout).filter(({ op }) => PARAMETER_FREE.has(op)).length;
}

/**
 * The cell in words, as its picture's alternative text.
 * @param {Genotype | null | undefined} genotype
 * @param {string} cell
 * @param {CellLayout} layout
 */
export function inWords(genotype, cell, layout) {
  const nodes = Map.groupBy(chosen(genotype, cell, layout), ({ node }) => node);
  const described = [...nodes].map(([node, parts]) => {
    const inputs = parts.map(({ op, source }) => `${op} of ${stateName(source, layout)}`);
    return `${stateName(node, layout)} is ${inputs.join(" plus ")}`;
  });
  return described.join("; ");
}
