/** Maps values to places in a drawing. */

// From this ratio of the largest to the smallest value, a scale of positive values is logarithmic.
const WIDE = 30;

/**
 * A scale over the values, with about `count` round ticks.
 * @param {number[]} values at least one
 * @param {number} from the place of the smallest value
 * @param {number} to the place of the largest
 * @param {number} [count]
 */
export function scaleOf(values, from, to, count = 5) {
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const log = least > 0 && most / least > WIDE;
  const bent = log ? Math.log10 : (/** @type {number} */ value) => value;
  // A single value is in the middle.
  const margin = least === most ? Math.max(Math.abs(least), 1) * 0.1 : 0;
  const [low, high] = [bent(least - margin), bent(most + margin)];
  /** @param {number} value */
  const at = (value) => from + ((bent(value) - low) / (high - low)) * (to - from);
  const ticks = log ? powers(least, most) : rounds(least - margin, most + margin, count);
  if (values.every(Number.isInteger)) return { at, ticks: ticks.filter(Number.isInteger) };
  return { at, ticks };
}

/**
 * Round numbers between two values: multiples of 1, 2 or 5 times a power of ten.
 * @param {number} least @param {number} most @param {number} count
 */
function rounds(least, most, count) {
  const rough = (most - least) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5].find((each) => each * power >= rough) ?? 10);
  const first = Math.ceil(least / step);
  return Array.from({ length: Math.floor(most / step) - first + 1 }, (_, index) => Number(((first + index) * step).toPrecision(12)));
}

/** @param {number} least @param {number} most */
function powers(least, most) {
  const exponents = Array.from({ length: 40 }, (_, index) => 10 ** (index - 20));
  return exponents.flatMap((power) => [power, 3 * power]).filter((value) => value >= least && value <= most);
}
