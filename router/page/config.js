/** The configuration in force, secrets masked, and whether the last edit was taken. */

import { h } from "./dom.js";
import { jsonLines } from "./diff.js";
import { when } from "./format.js";

export function config(live, { reload, problem }) {
  if (!live.config) return h("p", { class: "quiet", role: "status" }, "Asking the router…");
  const { config: shown, status } = live.config;
  return [
    h(
      "div",
      { key: "head", class: "page-head" },
      h("h1", {}, "Configuration"),
      live.me?.role === "operator" &&
        h(
          "div",
          { class: "buttons" },
          h("button", { type: "button", onclick: reload }, "Read the files again"),
        ),
    ),
    status.error
      ? h(
          "div",
          { key: "bad", class: "notice bad", role: "alert" },
          h("b", {}, `Refused at ${when(status.failed_at)}; what was in force stays in force.`),
          h("pre", {}, status.error),
        )
      : h(
          "p",
          { key: "good", class: "notice good" },
          `The last edit is in force since ${when(status.loaded_at)}.`,
        ),
    status.warnings.length > 0 &&
      h(
        "div",
        { key: "warnings", class: "notice bad", role: "alert" },
        h("b", {}, "A certificate can't be renewed."),
        status.warnings.map((warning) => h("p", {}, warning)),
      ),
    problem && !status.error && h("p", { key: "problem", class: "notice bad", role: "alert" }, problem),
    h(
      "section",
      { key: "shown", class: "panel", "aria-label": "In force" },
      h("h2", {}, "In force ", h("small", { class: "quiet" }, `digest ${status.digest}`)),
      h(
        "pre",
        { class: "body tall", tabindex: "0", role: "region", "aria-label": "The configuration as JSON" },
        jsonLines(shown).map((line) => `${line.text}\n`),
      ),
    ),
  ];
}
