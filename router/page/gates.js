/** What the gates say: the verdict, the number with its interval between its bounds, and how strong the evidence is. */

import { h } from "./dom.js";
import { number, span, word } from "./format.js";
import { intervalGraphic } from "./interval.js";
import { gatesOf, reading } from "./model.js";
import { verdict } from "./parts.js";

export function gates(one) {
  const specs = gatesOf(one);
  if (!one.gates.length) {
    const names = specs.map(([kind]) => word(kind)).join(", ");
    const over = ["steady", "promoted", "rolled_back"].includes(one.phase);
    const says = over ? "No rollout runs that they could judge" : "Nothing to judge yet";
    return h(
      "p",
      { class: "quiet" },
      names ? `${says}: ${names}.` : "None: time and people move this rollout.",
    );
  }
  return [
    h(
      "ul",
      { class: "gates" },
      one.gates.map((ruling, index) => gate(ruling, index, specs)),
    ),
    one.gates.some((ruling) => ruling.numbers.interval) &&
      h(
        "p",
        { class: "quiet" },
        "Intervals are of this step, at 95 %. Verdicts weigh the evidence of the whole rollout, and for a pass the more the further the next step goes: so an interval may reach beyond a bound that is passed.",
      ),
  ];
}

function gate(ruling, index, specs) {
  const nth = specs.findIndex(([kind]) => kind === ruling.gate);
  const spec = nth < 0 ? undefined : specs.splice(nth, 1)[0][1];
  const read = reading(ruling, spec);
  const known = read?.value !== undefined;
  const drawn = read && [read.value, read.good, read.bad, read.aim].some((each) => each > 0 || each <= 0);
  return h(
    "li",
    { key: `${ruling.gate} ${index}`, class: "gate" },
    h(
      "div",
      { class: "gate-head" },
      h("h3", {}, word(ruling.gate)),
      verdict(ruling.verdict),
      ruling.hold && ruling.verdict !== "fail" && h("span", { class: "badge warn" }, "holds the ramp"),
      known && h("b", { class: "gate-value" }, read.show(read.value)),
    ),
    drawn && intervalGraphic(read),
    h("p", { class: "why" }, ruling.why),
    h(
      "div",
      { class: "meters" },
      meter("to fail", ruling.numbers.evidence_against, ruling.numbers.fails_at, "bad"),
      meter("to pass", ruling.numbers.evidence_for, ruling.numbers.passes_at, "good"),
      ruling.wait ? h("span", { class: "quiet" }, `about ${span(ruling.wait)} more at this traffic`) : null,
    ),
  );
}

/** Evidence multiplies, so the bar is of logarithms: half way is the square root. */
function meter(name, have, need, kind) {
  if (have === undefined || have === null || !(need > 1)) return null;
  const part = Math.min(1, Math.max(0, Math.log(Math.max(have, 1)) / Math.log(need)));
  const text =
    have >= need
      ? `evidence ${name}: enough (${number(need)})`
      : `evidence ${name}: ${number(have)} of ${number(need)}`;
  return h(
    "span",
    { class: `meter ${kind}` },
    h("span", { class: "quiet" }, text),
    h("span", { class: "track", "aria-hidden": "true" }, h("i", { style: { width: `${100 * part}%` } })),
  );
}
