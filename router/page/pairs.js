/** Two answers to one request: how often they differ and where, and each pair side by side. */

import { head } from "./deployment.js";
import { bodyView, excerpts, jsonLines, words } from "./diff.js";
import { h } from "./dom.js";
import { fieldOf, fieldTable, nameOf } from "./fields.js";
import { count, number, percent, seconds, when, word } from "./format.js";
import { emptyState, emptyView, verdict } from "./parts.js";

const VERDICTS = ["mismatch", "match", "incomparable"];

/** `browse` holds what is looked at: {verdict, field, found, open, problem}; `set` changes it. */
export function pairs(live, { browse, set, act }) {
  const { one } = live;
  if (live.missing) return emptyView("No such deployment", live.missing.message);
  if (!one) return h("p", { class: "quiet", role: "status" }, "Asking the router…");
  const report = live.comparison;
  return [
    head(one, live, "pairs", act),
    report &&
      !report.comparisons.length &&
      h(
        "div",
        { key: "none", class: "panel" },
        emptyState("Nothing compared yet", "Pairs come from steps with a mirror, and from shadows."),
      ),
    report?.comparisons.length > 0 &&
      h(
        "section",
        { key: "report", class: "panel", "aria-label": "Differences" },
        h("h2", {}, "Where they differ"),
        inOrder(report.comparisons).map((each) => comparison(each, browse, set)),
      ),
    h("section", { key: "browse", class: "panel", "aria-label": "Pairs" }, browser(browse, set, fieldsOf(report))),
  ];
}

function comparison(each, browse, set) {
  const { agreement, disagreement } = each;
  const title = each.noise
    ? `${each.primary} with itself: noise`
    : `${each.primary} answered, ${each.shadow} got the copy`;
  const fields = [...each.differences, ...each.noisy];
  const all = pairsIn(each);
  return h(
    "article",
    { key: `${each.primary} ${each.shadow}`, class: "comparison" },
    h("h3", {}, title),
    h(
      "p",
      {},
      h("b", { class: "large" }, percent(agreement.share)),
      " alike ",
      agreement.share !== null &&
        h("span", { class: "quiet" }, `[${percent(agreement.low)}, ${percent(agreement.high)}] `),
      h("span", { class: "quiet" }, `of ${count(all)} pairs`),
      disagreement.net &&
        h(
          "span",
          {},
          ` · net of noise they differ in ${percent(disagreement.net.share)} [${percent(disagreement.net.low)}, ${percent(disagreement.net.high)}]`,
        ),
      each.score !== null && h("span", { class: "quiet" }, ` · mean score ${number(each.score)}`),
    ),
    fields.length > 0 &&
      fieldTable(fields, each.noise, browse.field, (field) => set({ field, verdict: field === null ? browse.verdict : "mismatch" })),
    Object.keys(each.labels).length > 0 &&
      h(
        "p",
        {},
        "Labels: ",
        Object.entries(each.labels).map(([name, n]) => h("span", { class: "badge" }, `${name} ${count(n)}`)),
      ),
    Object.entries(each.slices).map(([name, values]) => slice(name, values)),
  );
}

/** Most pairs first; those of a version with itself, which say what noise is, last. */
const inOrder = (comparisons) =>
  [...comparisons].sort((one, other) => one.noise - other.noise || pairsIn(other) - pairsIn(one));
const pairsIn = (each) => Object.values(each.verdicts).reduce((total, n) => total + n, 0);

function slice(name, values) {
  const more = values.filter((each) => each.differs_more).map((each) => each.value);
  return h(
    "details",
    { key: name, open: more.length > 0 },
    h(
      "summary",
      {},
      `by ${name}: ${values.length} values`,
      more.length > 0 && h("span", { class: "badge warn" }, `${more.join(", ")} differs more`),
    ),
    sliceTable(name, values),
  );
}

function sliceTable(name, values) {
  return h(
    "div",
    { key: name, class: "scroll", tabindex: "0", role: "region", "aria-label": `By ${name}, table` },
    h(
      "table",
      {},
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          [name, "Pairs", "Differ in", "95 % interval", ""].map((each) =>
            h("th", { scope: "col" }, each || h("span", { class: "unseen" }, "Kind")),
          ),
        ),
      ),
      h(
        "tbody",
        {},
        values.map((each) =>
          h(
            "tr",
            { key: each.value },
            h("th", { scope: "row" }, each.value),
            h("td", {}, count(pairsIn(each))),
            h("td", {}, percent(each.disagreement.share)),
            h("td", {}, `${percent(each.disagreement.low)} – ${percent(each.disagreement.high)}`),
            h("td", {}, each.differs_more && h("span", { class: "badge warn" }, "differs more")),
          ),
        ),
      ),
    ),
  );
}

/** The fields in which any two versions differ, by name. */
function fieldsOf(report) {
  const all = (report?.comparisons ?? []).flatMap((each) => [...each.differences, ...each.noisy]);
  return [...new Set(all.map((each) => each.field))].sort();
}

function browser(browse, set, fields) {
  const { found, open } = browse;
  const choice = (value, name, selected) => h("option", { value, selected }, name);
  const known = browse.field === null || fields.includes(browse.field) ? fields : [browse.field, ...fields];
  return [
    h(
      "div",
      { class: "page-head" },
      h("h2", {}, "Recent pairs"),
      h(
        "div",
        { class: "buttons" },
        h(
          "label",
          { class: "inline" },
          "Verdict ",
          h(
            "select",
            { value: browse.verdict, onchange: (event) => set({ verdict: event.target.value, field: null }) },
            choice("", "all", browse.verdict === ""),
            VERDICTS.map((each) => choice(each, each, browse.verdict === each)),
          ),
        ),
        known.length > 0 &&
          h(
            "label",
            { class: "inline" },
            "Field ",
            h(
              "select",
              {
                class: "field-choice",
                value: browse.field === null ? "" : `=${browse.field}`,
                onchange: (event) => set({ field: event.target.value ? event.target.value.slice(1) : null }),
              },
              choice("", "all", browse.field === null),
              known.map((each) => choice(`=${each}`, nameOf(each), browse.field === each)),
            ),
          ),
        h("button", { type: "button", onclick: () => set({}) }, "Look again"),
      ),
    ),
    browse.problem && h("p", { class: "notice bad", role: "alert" }, browse.problem),
    !found && !browse.problem && h("p", { class: "quiet", role: "status" }, "Reading the log…"),
    found?.length === 0 && h("p", { class: "quiet", role: "status" }, noneFound(browse.field)),
    found?.length > 0 &&
      h(
        "ul",
        { class: "pairs" },
        found.map((pair) => {
          const key = `${pair.exchange} ${pair.shadow.version}`;
          return h("li", { key }, row(pair, key, browse, set), open === key && sideBySide(pair));
        }),
      ),
  ];
}

/** A pair names only the first of its differences, and of many fields only the first are counted by name. */
const noneFound = (field) =>
  `The log has no such pair.${field === null ? "" : " A pair lists its first 20 differences: one beyond them is counted above, and not found here."}`;

/** A pair as one line, with the difference that was asked for, else with its first. */
function row(pair, key, { open, field }, set) {
  const first = pair.differences.find((each) => fieldOf(each.at) === field) ?? pair.differences[0];
  return h(
    "button",
    {
      type: "button",
      class: "pair",
      "aria-expanded": String(open === key),
      onclick: () => set({ open: open === key ? null : key }, true),
    },
    verdict(pair.verdict),
    h("span", { class: "pair-versions" }, `${pair.primary.version} / ${pair.shadow.version}`),
    h(
      "span",
      { class: "pair-where" },
      first
        ? `${first.at || "body"}: ${excerpts(first.primary, first.shadow).join(" ≠ ")}`
        : (pair.shadow.error ?? pair.primary.error ?? ""),
    ),
    h("span", { class: "quiet" }, when(Date.parse(pair.time) / 1000)),
  );
}

function sideBySide(pair) {
  const places = pair.differences.map((each) => each.at);
  return h(
    "div",
    { class: "opened" },
    pair.differences.length > 0 &&
      h(
        "div",
        { class: "scroll", tabindex: "0", role: "region", "aria-label": "Differences of this pair" },
        h(
          "table",
          {},
          h(
            "thead",
            {},
            h(
              "tr",
              {},
              ["Place", pair.primary.version, pair.shadow.version].map((each) =>
                h("th", { scope: "col" }, each),
              ),
            ),
          ),
          h(
            "tbody",
            {},
            pair.differences.map((each) =>
              h(
                "tr",
                {},
                h("th", { scope: "row" }, each.at || "body"),
                h("td", {}, cell(each.primary, each.shadow)),
                h("td", {}, cell(each.shadow, each.primary)),
              ),
            ),
          ),
        ),
      ),
    pair.differences_more > 0 &&
      h("p", { class: "quiet" }, `and ${count(pair.differences_more)} more differences`),
    h(
      "div",
      { class: "sides" },
      answer("answered", pair.primary, places, pair.shadow),
      answer("got the copy", pair.shadow, places, pair.primary),
    ),
    request(pair),
  );
}

function request(pair) {
  const { method, path, body, body_encoding: encoding, headers } = pair.request;
  return h(
    "details",
    { class: "request" },
    h("summary", {}, `${method} ${path} `, h("span", { class: "quiet" }, `request ${pair.id}`)),
    h(
      "pre",
      { class: "body", tabindex: "0" },
      Object.entries(headers ?? {}).map(([name, value]) => `${name}: ${value}\n`),
    ),
    h(
      "pre",
      { class: "body", tabindex: "0" },
      encoding === "json" ? jsonLines(body).map((line) => `${line.text}\n`) : String(body ?? ""),
    ),
  );
}

function answer(what, side, places, other) {
  const facts = [
    side.status,
    side.latency_ms !== null && side.latency_ms !== undefined && seconds(side.latency_ms / 1000),
    side.truncated && "truncated",
  ].filter(Boolean);
  return h(
    "div",
    { class: "side", tabindex: "0", role: "region", "aria-label": `${side.version}, which ${what}` },
    h(
      "h4",
      {},
      side.version,
      h("small", {}, ` ${what} · ${facts.join(" · ")}`),
      side.error && h("span", { class: "badge bad" }, word(side.error)),
    ),
    bodyView(side, places, other),
  );
}

const cell = (value, other) =>
  typeof value === "string"
    ? words(value, typeof other === "string" ? other : undefined)
    : (JSON.stringify(value) ?? "absent");
