/** Two bodies side by side, with what differs marked: by the JSON pointers that the comparison found. Pure. */

import { h } from "./dom.js";

const MOST_LINES = 2000;
const MOST_WORDS = 600;
const EXCERPT = 40; // characters of a value in one line
const BEFORE = 12; // of them, those that both sides begin with

const escaped = (key) => String(key).replaceAll("~", "~0").replaceAll("/", "~1");

/** The lines of a value as indented JSON: {text, at} with the pointer of what stands there. */
export function jsonLines(value) {
  const lines = [];
  const walk = (each, at, indent, before, after) => {
    const pad = "  ".repeat(indent);
    if (lines.length > MOST_LINES) return;
    if (each === null || typeof each !== "object" || Object.keys(each).length === 0) {
      lines.push({
        at,
        text: `${pad}${before}${JSON.stringify(each)}${after}`,
        value: each,
        pad: `${pad}${before}`,
        after,
      });
      return;
    }
    const list = Array.isArray(each);
    if (list && each.every((item) => item === null || typeof item !== "object")) {
      const items = each.map((item) => JSON.stringify(item));
      if (items.join(", ").length < 60) {
        lines.push({
          at,
          text: `${pad}${before}[${items.join(", ")}]${after}`,
          items,
          pad: `${pad}${before}`,
          after,
        });
        return;
      }
    }
    lines.push({ at, text: `${pad}${before}${list ? "[" : "{"}`, opens: true });
    const entries = Object.entries(each);
    entries.forEach(([key, item], index) => {
      const comma = index < entries.length - 1 ? "," : "";
      walk(item, `${at}/${escaped(key)}`, indent + 1, list ? "" : `${JSON.stringify(key)}: `, comma);
    });
    lines.push({ at, text: `${pad}${list ? "]" : "}"}${after}`, opens: true });
  };
  walk(value, "", 0, "", "");
  if (lines.length > MOST_LINES) lines.push({ at: null, text: "…" });
  return lines;
}

/** What stands at a JSON pointer; undefined where nothing does. */
export function valueAt(body, pointer) {
  const keys = pointer
    .split("/")
    .slice(1)
    .map((key) => key.replaceAll("~1", "/").replaceAll("~0", "~"));
  return keys.reduce(
    (value, key) => (value === null || typeof value !== "object" ? undefined : value[key]),
    body,
  );
}

/**
 * A body as lines, those that differ from the other side's marked. Where the comparison looked at whole texts, its
 * one place is the body: then the texts that are not the same differ, of a chat those of its choices.
 */
export function bodyView(side, places, other) {
  const { body } = side;
  if (body === null || body === undefined)
    return h("p", { class: "quiet" }, side.error ? `no answer: ${side.error}` : "no body");
  if (side.body_encoding !== "json") return h("pre", { class: "body" }, words(String(body), other.body));
  const within = body.choices ? "/choices/" : "/";
  const whole = places.some((place) => !place.startsWith("/"));
  const differs = (line, at) => {
    if (at === null || line.opens) return places.includes(at);
    if (whole)
      return at.startsWith(within) && line.value !== undefined && valueAt(other.body, at) !== line.value;
    return places.some((place) => place === at || at.startsWith(`${place}/`));
  };
  return h(
    "pre",
    { class: "body" },
    jsonLines(body).map((line) => lineView(line, differs, other.body)),
  );
}

function lineView(line, differs, other) {
  const whole = differs(line, line.at);
  if (!line.items)
    return h("span", { class: whole ? "line differs" : "line" }, whole ? leaf(line, other) : line.text, "\n");
  const off = line.items.map((_, index) => whole || differs(line, `${line.at}/${index}`));
  const items = line.items.map((item, index) => [index > 0 && ", ", off[index] ? h("mark", {}, item) : item]);
  return h(
    "span",
    { class: off.includes(true) ? "line differs" : "line" },
    `${line.pad}[`,
    items,
    `]${line.after}`,
    "\n",
  );
}

/** A line with what differs in its value marked. */
function leaf(line, other) {
  if (line.opens) return line.text;
  const theirs = valueAt(other, line.at);
  if (typeof line.value !== "string" || typeof theirs !== "string")
    return [line.pad, h("mark", {}, JSON.stringify(line.value)), line.after];
  return [line.pad, words(JSON.stringify(line.value), JSON.stringify(theirs)), line.after];
}

/** A text with the words that the other one does not have marked. */
export function words(text, other) {
  if (typeof other !== "string" || text === other) return text;
  const mine = text.split(/(\s+)/);
  const kept = common(mine, other.split(/(\s+)/));
  // What stands between two words that differ is marked with them: one mark for a run of words.
  const differs = (index) =>
    !kept.has(index) || (!mine[index].trim() && index > 0 && !kept.has(index - 1) && !kept.has(index + 1));
  const parts = [];
  mine.forEach((word, index) => {
    const off = differs(index);
    if (parts.at(-1)?.off === off) parts.at(-1).text += word;
    else parts.push({ off, text: word });
  });
  return parts.map(({ off, text: part }) => (off ? h("mark", {}, part) : part));
}

/** Indexes of a longest common subsequence in `one`; of long texts only what they begin and end with. */
function common(one, other) {
  const kept = new Set();
  let start = 0;
  while (start < one.length && one[start] === other[start]) kept.add(start++);
  let end = 0;
  while (end < Math.min(one.length, other.length) - start && one.at(-1 - end) === other.at(-1 - end))
    kept.add(one.length - 1 - end++);
  const a = one.slice(start, one.length - end);
  const b = other.slice(start, other.length - end);
  if (a.length > MOST_WORDS || b.length > MOST_WORDS) return kept;
  const longest = Array.from({ length: a.length + 1 }, () => new Uint16Array(b.length + 1));
  for (let i = a.length - 1; i >= 0; i -= 1) {
    for (let j = b.length - 1; j >= 0; j -= 1) {
      longest[i][j] =
        a[i] === b[j] ? longest[i + 1][j + 1] + 1 : Math.max(longest[i + 1][j], longest[i][j + 1]);
    }
  }
  for (let i = 0, j = 0; i < a.length && j < b.length;) {
    if (a[i] === b[j]) {
      kept.add(start + i);
      i += 1;
      j += 1;
    } else if (longest[i + 1][j] >= longest[i][j + 1]) i += 1;
    else j += 1;
  }
  return kept;
}

/** Two values in one line each, from a little before the place where they begin to differ. */
export function excerpts(one, other) {
  const texts = [one, other].map((each) => (typeof each === "string" ? each : (JSON.stringify(each) ?? "absent")));
  const same = [...texts[0]].findIndex((each, index) => each !== texts[1][index]);
  const longest = Math.max(...texts.map((each) => each.length));
  const from = longest > EXCERPT && same > BEFORE ? same - BEFORE : 0;
  return texts.map((text) => {
    const rest = text.slice(from);
    return (from ? "…" : "") + (rest.length > EXCERPT ? `${rest.slice(0, EXCERPT - 1)}…` : rest);
  });
}
