/** Where values lie on a line, and which of them are worth a tick. Pure. */

/** A function from [low, high] to [from, to]. */
export const linear = (low, high, from, to) => (value) =>
  from + ((value - low) / (high - low || 1)) * (to - from);

/** Round numbers over [low, high], about `wanted` of them: steps of 1, 2 or 5 times a power of ten. */
export function ticks(low, high, wanted) {
  const rough = (high - low) / wanted;
  if (!(rough > 0)) return [low];
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find((each) => each * power >= rough * 0.999) * power;
  const found = [];
  for (let index = Math.ceil(low / step - 1e-9); index * step <= high + step * 1e-9; index += 1) {
    found.push(Number((index * step).toPrecision(12)));
  }
  return found;
}

/** [low, high] widened to ticks; never empty. */
export function widened(low, high, wanted) {
  if (!(high > low)) high = low + (Math.abs(low) || 1);
  const step = ticks(low, high, wanted);
  const size = step.length > 1 ? step[1] - step[0] : high - low;
  return [Math.floor(low / size + 1e-9) * size, Math.ceil(high / size - 1e-9) * size];
}

const STEPS = [5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600];

/** Moments on the clock between two Unix times, at most `most`, and how far apart they are. */
export function times(from, to, most) {
  const step = STEPS.find((each) => (to - from) / each <= most) ?? 3600;
  const found = [];
  for (let at = Math.ceil(from / step) * step; at <= to; at += step) found.push(at);
  return { step, at: found };
}

/** The index of the time nearest to `at` in a sorted list; -1 in an empty one. */
export function nearest(sorted, at) {
  if (!sorted.length) return -1;
  let low = 0;
  let high = sorted.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] < at) low = middle + 1;
    else high = middle;
  }
  return low > 0 && at - sorted[low - 1] < sorted[low] - at ? low - 1 : low;
}

/** Runs of points with a value, cut where one is missing or where nobody looked for more than `gap`: a point is what
 * came since `since`, or at `at` alone. */
export function runs(points, gap) {
  const found = [];
  let run = [];
  for (const point of points) {
    const last = run.at(-1);
    if (last && (point.y === null || (point.since ?? point.at) - last.at > gap)) {
      found.push(run);
      run = [];
    }
    if (point.y !== null) run.push(point);
  }
  if (run.length) found.push(run);
  return found;
}
