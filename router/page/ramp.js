/** The steps of a rollout as stairs: how far it goes, where it is, how long it stays. */

import { h } from "./dom.js";
import { percent, share, span } from "./format.js";
import { left, stepSays, stepsOf } from "./model.js";

const TALL = 84; // px of the stair at 100 %

/** A stair of 1 % is to be seen beside one of 100 %. */
const height = (part) => Math.max(3, Math.sqrt(part) * TALL);

/** `actual` is the share of the requests that the candidate answered in the last minute; null: none came. */
export function ramp(one, age, actual) {
  const steps = stepsOf(one);
  if (!steps.length) return null;
  const over = one.phase === "rolled_back" || one.phase === "steady";
  return h(
    "ol",
    { class: `ramp ${one.phase}`, style: { "--tall": `${TALL}px` } },
    steps.map((step, index) => stair(one, step, index, over, age, actual)),
  );
}

function stair(one, step, index, over, age, actual) {
  const fell = one.phase === "rolled_back" && index === one.step;
  const place = over ? "ahead" : index < one.step ? "done" : index > one.step ? "ahead" : "here";
  const remains = place === "here" ? left(one, age) : null;
  const part = place === "done" ? 1 : place === "here" && one.hold ? 1 - remains / one.hold : 0;
  const full = place === "here" && one.phase === "promoted" ? 1 : part;
  const words = { done: "done", here: "now here", ahead: "ahead" }[place];
  const name = step.pause ? "pause" : share(step.share);
  const holds = step.end ? endSays(one, step, place) : stepSays(step);
  return h(
    "li",
    {
      key: index,
      class: `stair ${place}${step.pause ? " pause" : ""}${fell ? " fell" : ""}`,
      "aria-current": place === "here" ? "step" : null,
    },
    h(
      "div",
      { class: "riser", "aria-hidden": "true" },
      h(
        "div",
        { class: "tread", style: { height: `${height(step.share)}px` } },
        h("div", { class: "fill", style: { width: `${100 * full}%` } }),
      ),
      place === "here" &&
        actual !== null &&
        h("div", {
          class: "actual",
          style: { bottom: `${height(actual)}px` },
          title: `answers ${percent(actual)} now`,
        }),
    ),
    h("b", { class: "stair-share" }, name),
    h("span", { class: "stair-hold" }, holds),
    step.mirror > 0 && h("span", { class: "stair-hold stair-copies" }, `copies ${share(step.mirror)}`),
    fell && h("span", { class: "stair-left" }, "rolled back here"),
    place === "here" && h("span", { class: "stair-left" }, here(one, remains, actual)),
    place === "here" && actual !== null && h("span", { class: "stair-hold" }, `answers ${percent(actual)}`),
    h("span", { class: "unseen" }, `, ${words}`),
  );
}

/** What happens when all requests go to the new version; where that has happened already, `here` says it. */
function endSays(one, step, place) {
  if (step.hold) return `${one.pattern === "blue_green" ? "kept" : "soak"} ${span(step.hold)}`;
  if (place === "here") return "";
  return one.pattern === "blue_green" ? "live" : "promoted";
}

function here(one, remains, actual) {
  if (one.phase === "paused") return "paused";
  if (one.phase === "promoted") return remains ? `kept another ${span(remains)}` : "promoted";
  if (remains === null) return "waits for you";
  if (remains > 0) return `${span(remains)} left`;
  return actual === null ? "waits for requests" : "waits for its gates";
}
