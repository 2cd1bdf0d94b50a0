/** What an operator can do: the buttons, the question before it, and what came of it, in the words of the API. */

import { Problem } from "./api.js";
import { h, render } from "./dom.js";
import { number, share } from "./format.js";
import { stepsOf } from "./model.js";

const always = (text) => () => text;

const ACTIONS = {
  promote: { name: "Promote", says: onward, extra: full },
  pause: { name: "Pause", says: always("Nothing moves by itself any more; the share stays.") },
  resume: { name: "Resume", says: always("Goes on where it was.") },
  share: {
    name: "Set share…",
    asks: "Set the share in",
    says: always("The candidate answers this part from now on, and the rollout pauses."),
    extra: part,
  },
  switch: { name: "Switch…", says: always("Makes the other colour live, as the YAML says."), extra: colour },
  restart: { name: "Restart", says: always("Begins at the first step again.") },
  rollback: { name: "Roll back", says: back, kind: "danger" },
};

/** What a rollback leads to; without copies there is nothing that could end. */
function back(one) {
  const copies = one.mirror > 0 ? " Copies end." : "";
  return `${one.trusted} answers everything, at once.${copies}`;
}

/** What a promote leads to. */
function onward(one) {
  const next = stepsOf(one)[one.step + 1];
  if (!next) return "Ends the soak now.";
  const where = next.pause ? "the pause, at the same share" : share(next.share);
  return `Goes on to the next step now: ${where}.`;
}

const ALLOWED = {
  steady: ["share", "switch"],
  progressing: ["promote", "pause", "share", "restart"],
  paused: ["promote", "resume", "share", "restart"],
  soaking: ["promote", "pause", "share", "restart"],
  promoted: ["switch", "restart"],
  rolled_back: ["restart"],
};

/** The buttons that may work now; a rollback always may. `act` is called with the name of the action. */
export function buttons(one, act) {
  if (!one.spec?.rollout) return null;
  const { pattern } = one;
  const fits = (name) =>
    (name !== "switch" || pattern === "blue_green") &&
    (name !== "share" || (pattern !== "shadow" && (pattern !== "blue_green" || one.candidates.length)));
  const names = [
    ...(ALLOWED[one.phase] ?? [])
      .filter(fits)
      .filter((name) => !(pattern === "shadow" && name === "promote")),
    "rollback",
  ];
  return names.map((name) =>
    h(
      "button",
      { key: name, type: "button", class: ACTIONS[name].kind ?? "", onclick: () => act(name) },
      ACTIONS[name].name,
    ),
  );
}

/**
 * Asks in `dialog` whether, and why; then acts. Resolves to what the API answered, or null where somebody thought
 * better of it. What it refuses is shown there, and may be tried again.
 */
export function ask(dialog, api, one, name) {
  const action = ACTIONS[name];
  return new Promise((done) => {
    let body = action.extra ? action.extra.initial(one) : {};
    let reason = "";
    let refused = null;
    let busy = false;
    const close = (answer) => {
      dialog.onclose = null;
      dialog.close();
      done(answer);
    };
    const send = async (event) => {
      event.preventDefault();
      if (busy) return;
      busy = true;
      draw();
      try {
        // A rollback is never refused for what has changed meanwhile.
        const seen = name === "rollback" ? undefined : one.generation;
        close(
          await api.post(`/deployments/${encodeURIComponent(one.name)}/${name}`, { ...body, reason }, seen),
        );
      } catch (error) {
        refused =
          error instanceof Problem
            ? error.message
            : "the controller does not answer; nothing is known of what became of it";
        busy = false;
        draw();
      }
    };
    const change = (more) => {
      body = { ...body, ...more };
      draw();
    };
    const draw = () =>
      render(
        dialog,
        h(
          "form",
          { onsubmit: send },
          h("h2", { id: "asked" }, `${action.asks ?? action.name.replace("…", "")} ${one.name}?`),
          h("p", {}, action.says(one)),
          action.extra?.(one, body, change),
          h(
            "label",
            {},
            "Reason",
            h("input", {
              key: "reason",
              name: "reason",
              maxlength: 500,
              autocomplete: "off",
              placeholder: "for the history",
              value: reason,
              oninput: (event) => (reason = event.target.value),
            }),
          ),
          refused && h("p", { class: "notice bad", role: "alert" }, refused),
          h(
            "div",
            { class: "buttons" },
            h("button", { type: "button", disabled: busy, onclick: () => close(null) }, "Cancel"),
            h(
              "button",
              { type: "submit", class: action.kind ?? "primary", disabled: busy },
              busy ? "Working…" : action.name.replace("…", ""),
            ),
          ),
        ),
      );
    draw();
    dialog.oncancel = (event) => {
      if (busy) event.preventDefault(); // what comes of it is to be seen
    };
    dialog.onclose = () => done(null);
    dialog.showModal();
    // Where a number is asked for it comes first: what is typed and entered at once must not become a reason.
    const first = dialog.querySelector("input[type=number]") ?? dialog.querySelector("input[name=reason]");
    first.focus();
    first.select();
  });
}

/** What an answer of the API says, in a sentence or two. */
export function outcome(name, answer) {
  const { live, confirmed } = answer.workers;
  const shares = Object.entries(answer.shares)
    .map(([version, part_]) => `${version} ${share(part_)}`)
    .join(", ");
  const sentences = [
    `${ACTIONS[name].name.replace("…", "")}: in force after ${number(answer.applied_ms)} ms on ${confirmed} of ${live} workers. ${shares}.`,
  ];
  if (!answer.persisted) sentences.push("It is not on disk yet.");
  return [...sentences, ...(answer.warnings ?? [])];
}

function full(one, body, change) {
  return h(
    "label",
    { class: "check" },
    h("input", {
      type: "checkbox",
      checked: body.full,
      onchange: (event) => change({ full: event.target.checked }),
    }),
    "to 100 % at once, whatever steps are left",
  );
}
full.initial = () => ({ full: false });

function part(one, body, change) {
  const set = (text) => change({ candidate: Math.min(100, Math.max(0, Number(text))) / 100 });
  const value = Number((body.candidate * 100).toFixed(2));
  return h(
    "label",
    {},
    "Share of the candidate, in percent",
    h(
      "span",
      { class: "slider" },
      h("input", {
        type: "range",
        min: 0,
        max: 100,
        step: 1,
        "aria-label": "Share of the candidate",
        value,
        oninput: (event) => set(event.target.value),
      }),
      h("input", {
        type: "number",
        required: true,
        min: 0,
        max: 100,
        step: 0.01,
        value,
        oninput: (event) => set(event.target.value),
      }),
    ),
  );
}
part.initial = (one) => ({ candidate: one.share });

function colour(one, body, change) {
  const { blue, green } = one.spec.rollout;
  const option = (to, version) =>
    h(
      "label",
      { class: "check" },
      h("input", { type: "radio", name: "to", checked: body.to === to, onchange: () => change({ to }) }),
      `${to}: ${version}${one.live === version ? ", live now" : ""}`,
    );
  return h(
    "fieldset",
    {},
    h("legend", {}, "Colour to make live"),
    option("blue", blue),
    option("green", green),
  );
}
colour.initial = (one) => ({ to: one.live === one.spec.rollout.blue ? "green" : "blue" });
