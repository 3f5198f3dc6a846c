/** Finds the jobs that no other job beats in both quality and cost. */

/**
 * A job in the plot: its quality (y) and cost (x).
 * @typedef {{ job: Job, x: number, y: number }} Point
 */

/**
 * The Pareto front by rising cost. A low cost is good; so is a high quality, or a low one where `falling`.
 * @param {Point[]} points
 * @param {boolean} falling
 */
export function front(points, falling) {
  const sign = falling ? -1 : 1;
  const ordered = points.toSorted((a, b) => a.x - b.x || sign * (b.y - a.y));
  let best = Number.NEGATIVE_INFINITY;
  return ordered.filter(({ y }) => {
    const better = sign * y > best;
    if (better) best = sign * y;
    return better;
  });
}

/**
 * Best quality first, of equal ones the cheapest.
 * @param {Point[]} points
 * @param {boolean} falling
 */
export function ranked(points, falling) {
  return points.toSorted((a, b) => (falling ? a.y - b.y : b.y - a.y) || a.x - b.x);
}
