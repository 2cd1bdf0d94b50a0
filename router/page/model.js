/** What follows from the deployment that the API shows: who is who, which steps there are, what its gates measure. */

import { number, percent, seconds, span } from "./format.js";

/** Names of the versions, the one trusted at first before those on trial: their order is that of their colours. */
export function versions(one) {
  const rollout = one.spec?.rollout;
  const first = rollout?.stable ?? rollout?.primary ?? rollout?.blue ?? one.trusted;
  const all = Object.keys(one.spec?.versions ?? one.shares);
  return [first, ...all.filter((each) => each !== first)];
}

export const styleOf = (one, version) => `l${Math.max(0, versions(one).indexOf(version)) % 4}`;

/** What a version is here: stable, candidate, primary, shadow, blue, green; empty without a rollout. */
export function roleOf(one, version) {
  const rollout = one.spec?.rollout;
  if (!rollout) return "";
  const named = ["stable", "candidate", "primary", "blue", "green"].find((role) => rollout[role] === version);
  return named ?? (rollout.shadows?.includes(version) ? "shadow" : "");
}

/** The version on trial; of several the first; of blue-green the colour that is not live. */
export function candidateOf(one) {
  const rollout = one.spec?.rollout;
  if (!rollout) return null;
  if (rollout.pattern === "blue_green")
    return one.candidates[0] ?? (one.live === rollout.blue ? rollout.green : rollout.blue);
  return rollout.candidate ?? rollout.shadows?.[0] ?? null;
}

/** The steps of the ramp as {share, mirror, hold, pause, gates}, with the one at 100 %; none for a shadow. */
export function stepsOf(one) {
  const rollout = one.spec?.rollout;
  const written = rollout?.steps ?? rollout?.switch?.steps ?? (rollout?.pattern === "blue_green" ? [] : null);
  if (!written) return [];
  let before = 0;
  const steps = written.map((step) => {
    before = step.share ?? before;
    return { ...step, share: before };
  });
  const rest = rollout.soak ?? rollout.keep ?? null;
  return [...steps, { end: true, share: 1, hold: rest }];
}

/** Seconds left at this step, `age` seconds after it was told; null where it has no end of its own. */
export function left(one, age) {
  if (one.hold === null || one.hold === undefined) return null;
  const goesOn = one.phase === "progressing" || one.phase === "soaking" || one.phase === "promoted";
  return Math.max(0, one.hold - one.held - (goesOn ? age : 0));
}

/** What it waits for; the time left in that sentence is counted on, as that of the ramp is. */
export function waitsFor(one, age) {
  const remains = left(one, age);
  return one.waits_for.replace(/^(the \w+: )\w+ left/, `$1${span(remains)} left`);
}

/** Whether somebody should look: it fails, it is undone, it waits for a person. */
export function troubled(one) {
  if (one.phase === "rolled_back") return "bad";
  if (one.gates.some((gate) => gate.verdict === "fail")) return "bad";
  if (one.gates.some((gate) => gate.verdict === "error" || gate.hold)) return "warn";
  return one.phase === "paused" ? "warn" : "";
}

/** The gates of the YAML that hold here, as [kind, settings]; those of the step included. */
export function gatesOf(one) {
  const rollout = one.spec?.rollout;
  const here = rollout?.steps?.[one.step]?.gates ?? rollout?.switch?.steps?.[one.step]?.gates ?? [];
  return [...(rollout?.gates ?? []), ...here].map((gate) => {
    const kind = gate.tag ?? Object.keys(gate)[0];
    return [kind, gate.tag ? gate : gate[kind]];
  });
}

/** What a ruling measured, for `intervalGraphic`; null where it has no number. `spec` is the gate's in the YAML. */
export function reading(ruling, spec = {}) {
  const numbers = ruling.numbers;
  const [low, high] = numbers.interval ?? [];
  const nothing = (numbers.pairs ?? numbers.requests) === 0; // then a 0 is none that was measured
  const seen = (value) => (nothing || value === null ? undefined : value);
  const against = (value, bound, show, worse = "above") => ({
    value: seen(value),
    low,
    high,
    good: bound,
    bad: bound,
    worse,
    show,
  });
  switch (ruling.gate) {
    case "error_rate":
      if (numbers.ratio === undefined) return against(numbers.rate, spec.max, percent);
      return {
        value: numbers.ratio,
        low,
        high,
        good: spec.max_ratio,
        bad: spec.pass_ratio,
        worse: "above",
        ratio: true,
        show: times,
      };
    case "latency": {
      const relative =
        spec.max_ratio && numbers.stable_seconds ? spec.max_ratio * numbers.stable_seconds : undefined;
      return against(numbers.seconds, lowest(spec.max, relative), seconds);
    }
    case "agreement":
      return against(numbers.agreement, spec.min, percent, "below");
    case "score":
      return against(numbers.score, spec.min, number, "below");
    case "sample_ratio":
      return { value: seen(numbers.share), low, high, aim: numbers.intended, show: percent };
    case "prometheus":
      return spec.max === null || spec.max === undefined
        ? against(numbers.value, spec.min, number, "below")
        : against(numbers.value, spec.max, number);
    default:
      return null;
  }
}

const times = (value) => `${number(value)}×`;
const lowest = (...values) => {
  const known = values.filter((each) => each);
  return known.length ? Math.min(...known) : undefined;
};

/** What a step is held by. */
export function stepSays(step) {
  if (step.pause) return "waits for promote";
  if (step.hold === null || step.hold === undefined) return "";
  return step.hold === 0 ? "" : span(step.hold);
}
