/** Numbers and times as people read them. */

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

/** Three significant digits, without an exponent. */
export function number(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size >= 100) return whole.format(value);
  if (size === 0) return "0";
  return String(Number(value.toPrecision(size < 0.001 ? 2 : 3)));
}

export const count = (value) => (value === null || value === undefined ? "–" : whole.format(value));

export const rate = (value) => (value === null || value === undefined ? "–" : `${number(value)}/s`);

/** A share of 1 in percent; no more digits than say something. */
export function percent(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  const hundred = value * 100;
  const size = Math.abs(hundred);
  const digits = size >= 99.9 || size < 1 ? 2 : 1;
  return `${Number(hundred.toFixed(digits))}%`;
}

/** A share as it was set: exact. */
export const share = (value) => `${Number((value * 100).toFixed(2))}%`;

/** A latency. */
export function seconds(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  if (value >= 1) return `${number(value)} s`;
  if (value >= 0.001 || value === 0) return `${number(value * 1000)} ms`;
  return `${number(value * 1e6)} µs`;
}

const UNITS = [
  ["d", 86400],
  ["h", 3600],
  ["m", 60],
  ["s", 1],
];

/** A span in its two largest units: 1h 30m, 45s. */
export function span(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  let rest = Math.max(0, Math.round(value));
  const parts = [];
  for (const [unit, size] of UNITS) {
    if (rest >= size) {
      parts.push(`${Math.floor(rest / size)}${unit}`);
      rest %= size;
    }
  }
  return parts.slice(0, 2).join(" ") || "0s";
}

const two = (value) => String(value).padStart(2, "0");

/** Unix time as the clock on the wall. */
export function clock(at) {
  const date = new Date(at * 1000);
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

export function minute(at) {
  return clock(at).slice(0, 5);
}

/** Unix time with its date, where it is not today's. */
export function when(at) {
  const date = new Date(at * 1000);
  const today = new Date().toDateString() === date.toDateString();
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return today ? clock(at) : `${day} ${clock(at)}`;
}

export const ago = (age) => (age < 1 ? "just now" : `${span(age)} ago`);

const WORDS = { blue_green: "blue-green", rolled_back: "rolled back", null: "proxied" };

/** A word of the API as people write it. */
export const word = (name) => WORDS[name] ?? String(name).replaceAll("_", " ");

/** The share of hits with Wilson's 95 % interval, as the comparison has it; null where nothing was seen. */
export function wilson(hits, of) {
  if (!of) return null;
  const z = 1.959964;
  const p = hits / of;
  const middle = (p + (z * z) / (2 * of)) / (1 + (z * z) / of);
  const half = (z / (1 + (z * z) / of)) * Math.sqrt((p * (1 - p)) / of + (z * z) / (4 * of * of));
  return { share: p, low: Math.max(0, middle - half), high: Math.min(1, middle + half) };
}
