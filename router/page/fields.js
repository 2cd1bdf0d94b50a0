/** Where two versions differ, as a tree of fields: how often, and how much of it is noise. */

import { h } from "./dom.js";
import { count, percent } from "./format.js";

export const nameOf = (field) => field || "the whole body";

/** The field that a difference belongs to, as the comparison names it: `*` for positions in lists, but for that of a
 * V2 output. */
export const fieldOf = (at) => at.replace(/(?<!^\/outputs)\/\d+(?=\/|$)/g, "/*");

/**
 * The rows of the tree over `fields` ({field, disagreement, …}, `field` a JSON pointer): {depth, text, full, field},
 * where `field` is null for a heading that only stands over others. What leads to one field only is one row.
 * Siblings stand in the order of what differs most below them. Pure.
 */
export function tree(fields) {
  const root = { parts: new Map(), most: 0 };
  for (const field of fields) {
    let node = root;
    for (const part of field.field.split(/(?=\/)/)) {
      if (!node.parts.has(part)) node.parts.set(part, { text: part, parts: new Map(), most: 0 });
      node = node.parts.get(part);
      node.most = Math.max(node.most, field.disagreement.raw.share ?? 0);
    }
    node.field = field;
  }
  return [...rows(root, 0, "")];
}

function* rows(node, depth, before) {
  const ordered = [...node.parts.values()].sort((one, other) => other.most - one.most);
  for (let each of ordered) {
    let text = each.text;
    while (!each.field && each.parts.size === 1) {
      [each] = each.parts.values();
      text += each.text;
    }
    yield { depth, text, full: before + text, field: each.field ?? null };
    yield* rows(each, depth + 1, before + text);
  }
}

/** The tree as a table. `chosen` is the field that pairs are looked at for, `choose` takes another one, or null.
 * `noise`: all of it is, for a version was compared with itself. */
export function fieldTable(fields, noise, chosen, choose) {
  const parts = fields.flatMap(({ disagreement: { raw, noise: floor } }) => [raw.share ?? 0, floor?.share ?? 0]);
  const most = Math.max(...parts) || 1;
  return h(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": "Differences by field, table" },
    h(
      "table",
      { class: "fields" },
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          ["Field", "Pairs", "Differs in", "Noise floor", ""].map((name) =>
            h("th", { scope: "col" }, name || h("span", { class: "unseen" }, "Kind")),
          ),
        ),
      ),
      h(
        "tbody",
        {},
        tree(fields).map((each) => (each.field ? leaf(each, most, noise || each.field.is_noise, chosen, choose) : heading(each))),
      ),
    ),
  );
}

const indent = (depth) => ({ "padding-left": `${2 + depth * 18}px` });

const heading = ({ depth, text, full }) =>
  h(
    "tr",
    { key: `${full} …`, class: "heading" },
    h("th", { scope: "rowgroup", colspan: 5, style: indent(depth) }, text),
  );

function leaf({ depth, text, full, field }, most, isNoise, chosen, choose) {
  const { raw, noise } = field.disagreement;
  const on = chosen === field.field;
  return h(
    "tr",
    { key: full, class: isNoise ? "noise" : "" },
    h(
      "th",
      { scope: "row", style: indent(depth) },
      h(
        "button",
        {
          type: "button",
          class: "link",
          "aria-pressed": String(on),
          "aria-label": nameOf(full),
          title: on ? "show all pairs" : "show the pairs that differ here",
          onclick: () => choose(on ? null : field.field),
        },
        nameOf(text),
      ),
    ),
    h("td", {}, count(field.count)),
    h(
      "td",
      {},
      h(
        "span",
        { class: "field-bar" },
        h(
          "span",
          { class: "track", "aria-hidden": "true" },
          h("i", { style: { width: `${(100 * (raw.share ?? 0)) / most}%` } }),
          noise?.share ? h("em", { style: { left: `${(100 * noise.share) / most}%` } }) : null,
        ),
        h("span", { class: "field-share" }, percent(raw.share)),
      ),
    ),
    h("td", {}, noise ? percent(noise.share) : "–"),
    h(
      "td",
      {},
      isNoise
        ? h("span", { class: "badge" }, "noise")
        : h("span", { class: "badge warn" }, "differs"),
    ),
  );
}
