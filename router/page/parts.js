/** Small pieces that several views show. */

import { h } from "./dom.js";
import { share, word } from "./format.js";
import { candidateOf, roleOf, styleOf, versions } from "./model.js";

const SIGNS = { pass: "✓", fail: "✗", inconclusive: "…", error: "!" };
const PHASES = { progressing: "▶", paused: "❚❚", soaking: "◔", promoted: "✓", rolled_back: "↩", steady: "=" };

/** A phase as a coloured word with a sign. */
export const phase = (name) =>
  h(
    "span",
    { class: `badge phase-${name}` },
    h("span", { "aria-hidden": "true" }, PHASES[name] ?? ""),
    ` ${word(name)}`,
  );

/** A verdict, of a gate or of a pair. */
export const verdict = (name) =>
  h(
    "span",
    { class: `badge verdict-${name}` },
    h("span", { "aria-hidden": "true" }, SIGNS[name] ?? { match: "=", mismatch: "≠" }[name] ?? "·"),
    ` ${word(name)}`,
  );

/** The name of a version in its colour, with what it is here. */
export function versionName(one, version) {
  const role = roleOf(one, version);
  return h(
    "span",
    { class: `version ${styleOf(one, version)}` },
    h("i", { class: "chip", "aria-hidden": "true" }),
    version,
    role && h("small", {}, role),
  );
}

/** Who answers how much, as one bar; below it, hatched, what is copied. */
export function sharesBar(one) {
  const parts = versions(one).filter((version) => (one.shares[version] ?? 0) > 0);
  const text = parts.map((version) => `${version} ${share(one.shares[version])}`).join(", ");
  const copied = one.mirror > 0 ? `; ${share(one.mirror)} copied to the other side` : "";
  return h(
    "div",
    { class: "shares" },
    h(
      "div",
      { class: "bar", role: "img", "aria-label": `answers: ${text}${copied}` },
      parts.map((version) =>
        h("span", {
          key: version,
          class: styleOf(one, version),
          style: { "flex-grow": one.shares[version] },
        }),
      ),
    ),
    one.mirror > 0 &&
      h(
        "div",
        { class: "bar copies", "aria-hidden": "true" },
        h("span", {
          class: styleOf(one, candidateOf(one) ?? ""),
          style: { "flex-grow": one.mirror },
        }),
        h("i", { style: { "flex-grow": 1 - one.mirror } }),
      ),
    h(
      "div",
      { class: "bar-names", "aria-hidden": "true" },
      versions(one).map((version) =>
        h(
          "span",
          { class: `version ${styleOf(one, version)}` },
          h("i", { class: "chip" }),
          `${version} `,
          h("b", {}, share(one.shares[version] ?? 0)),
        ),
      ),
      one.mirror > 0 && h("span", { class: "quiet" }, `copies ${share(one.mirror)}`),
    ),
  );
}

/** One number with its name. */
export const figure = (name, value, more = null, kind = "") =>
  h("div", { class: `figure ${kind}` }, h("dt", {}, name), h("dd", {}, value, more && h("small", {}, more)));

const SPARKS = 40; // points of a sparkline: more are a thicket in its few pixels

/** Means of so many values in a row that at most `most` are left. */
export function thinned(values, most) {
  const size = Math.ceil(values.length / most);
  const found = [];
  for (let end = values.length; end > 0; end -= size) {
    const some = values.slice(Math.max(0, end - size), end);
    found.unshift(some.reduce((total, each) => total + each, 0) / some.length);
  }
  return found;
}

/** A line without axes: how it went. */
export function sparkline(all) {
  if (all.length < 2) return null;
  const values = thinned(all, SPARKS);
  const most = Math.max(...values) || 1;
  const points = values.map(
    (value, index) =>
      `${((index / (values.length - 1)) * 100).toFixed(1)} ${(26 - (value / most) * 24).toFixed(1)}`,
  );
  return h(
    "svg",
    { class: "spark", viewBox: "0 0 100 28", preserveAspectRatio: "none", "aria-hidden": "true" },
    h("path", { class: "band l0", d: `M0 28L${points.join("L")}L100 28Z` }),
    h("path", { class: "line l0", d: `M${points.join("L")}` }),
  );
}

export const emptyState = (title, text) => h("div", { class: "empty" }, h("h2", {}, title), h("p", {}, text));

/** A view with nothing in it, and why. */
export const emptyView = (title, text) => h("div", { class: "empty" }, h("h1", {}, title), h("p", {}, text));

/** That an edit of the configuration was refused. */
export const refusedEdit = () =>
  h(
    "p",
    { key: "config", class: "notice bad" },
    "The last edit of the configuration was refused; what is shown is in force. ",
    h("a", { href: "#/config" }, "What is wrong"),
  );
