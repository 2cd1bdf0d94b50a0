/** A number with what is known of it, between its bounds: where it is good, where it is not, and where it lies. */

import { h } from "./dom.js";
import { linear } from "./scale.js";

const has = (each) => each !== null && each !== undefined && Number.isFinite(each);

/**
 * `reading` is {value, low, high, good, bad, worse, aim, ratio, show}: the value with its 95 % interval (an end that
 * is not known is missing), the edges of the good zone and of the bad one, whether the bad one lies `above` or
 * `below`, a value aimed at instead of zones, and whether the scale is that of a ratio.
 */
export function intervalGraphic(reading) {
  const { value, low, high, good, bad, aim, show } = reading;
  const scaled = (each) => (reading.ratio ? Math.log(Math.max(each, 1e-3)) : each);
  const known = [value, low, high, good, bad, aim].filter(has).map(scaled);
  const [least, most] = [Math.min(...known), Math.max(...known)];
  const room = (most - least || Math.abs(most) || 1) * 0.15;
  const place = linear(least - room, most + room, 0, 100);
  const at = (each) => Math.min(100, Math.max(0, place(scaled(each))));
  const above = reading.worse !== "below";
  const zone = (kind, edge, right) =>
    h("rect", {
      class: `zone ${kind}`,
      x: `${right ? edge : 0}%`,
      width: `${right ? 100 - edge : edge}%`,
      y: 4,
      height: 18,
    });
  const from = has(low) ? at(low) : 0;
  const to = has(high) ? at(high) : 100;
  return h(
    "svg",
    { class: "interval", width: "100%", height: 42, "aria-hidden": "true" },
    h("rect", { class: "zone", x: 0, width: "100%", y: 4, height: 18 }),
    has(good) && zone("good", at(good), !above),
    has(bad) && zone("bad", at(bad), above),
    (has(low) || has(high)) && h("line", { class: "known", x1: `${from}%`, x2: `${to}%`, y1: 13, y2: 13 }),
    has(value) && h("circle", { class: "value", cx: `${at(value)}%`, cy: 13, r: 5 }),
    [...new Set([good, bad, aim])].filter(has).map((bound) => edge(at(bound), show(bound))),
  );
}

function edge(x, text) {
  const anchor = x > 85 ? "end" : x < 15 ? "start" : "middle";
  return [
    h("line", { class: "edge", x1: `${x}%`, x2: `${x}%`, y1: 2, y2: 24 }),
    h("text", { class: "tick", x: `${x}%`, y: 38, "text-anchor": anchor }, text),
  ];
}
