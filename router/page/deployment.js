/** One deployment: where it is, what it waits for, how it goes, what happened, and what can be done about it. */

import { buttons } from "./actions.js";
import { h } from "./dom.js";
import { count, percent, rate, seconds, share, when, wilson, word } from "./format.js";
import { gates } from "./gates.js";
import { candidateOf, gatesOf, stepsOf, styleOf, versions, waitsFor } from "./model.js";
import { emptyView, phase, refusedEdit, sharesBar, versionName } from "./parts.js";
import { ramp } from "./ramp.js";

const LEAST = 120; // s a chart shows at least
const MOST = 900;
const ROLLING = 60; // s of pairs behind each point of the agreement
const QUANTILES = ["p50", "p95", "p99"];

export function deployment(live, { quantile, setQuantile, act }) {
  const { one } = live;
  if (live.missing) return emptyView("No such deployment", live.missing.message);
  if (!one) return h("p", { class: "quiet", role: "status" }, "Asking the router…");
  const last = minuteOf(live.moments, one.changed.when);
  const actual = last.requests ? (last.by[candidateOf(one)]?.requests ?? 0) / last.requests : null;
  return [
    head(one, live, "state", act),
    one.config_error && refusedEdit(),
    h(
      "section",
      {
        key: "where",
        class: `panel where${stepsOf(one).length ? "" : " flat"}`,
        "aria-label": "Where it is",
      },
      h(
        "div",
        { class: "where-words" },
        h("p", { class: "waits" }, h("b", {}, "Waits for "), waitsFor(one, live.age)),
        h(
          "p",
          { class: "quiet" },
          [changed(one), one.changed.who || "router", when(one.changed.when)].join(" · "),
        ),
        sharesBar(one),
      ),
      ramp(one, live.age, actual),
    ),
    one.spec?.rollout &&
      h("section", { key: "gates", class: "panel", "aria-label": "Gates" }, h("h2", {}, "Gates"), gates(one)),
    charts(live, quantile, setQuantile),
    h(
      "section",
      { key: "versions", class: "panel", "aria-label": "Versions" },
      h("h2", {}, "Versions"),
      table(one, last),
    ),
    h(
      "section",
      { key: "history", class: "panel", "aria-label": "History" },
      h("h2", {}, "History"),
      history(live.events ?? one.events),
    ),
  ];
}

/** Why it is where it is, where the sentence above does not say so already. */
function changed(one) {
  const { why } = one.changed;
  return why && !one.waits_for.includes(why) ? why : word(one.phase);
}

/** Name, phase, the tabs and the buttons. */
export function head(one, live, tab, act) {
  const base = `#/deployments/${encodeURIComponent(one.name)}`;
  const link = (name, to, text) => h("a", { href: to, "aria-current": tab === name ? "page" : null }, text);
  return h(
    "div",
    { key: "head", class: "page-head" },
    h(
      "div",
      {},
      h("p", { class: "crumb" }, h("a", { href: "#/" }, "Deployments"), " /"),
      h(
        "h1",
        {},
        one.name,
        " ",
        phase(one.phase),
        h("span", { class: "badge" }, one.spec?.rollout ? word(one.pattern) : "proxied"),
      ),
      h(
        "nav",
        { class: "tabs", "aria-label": one.name },
        link("state", base, "Rollout"),
        link("pairs", `${base}/pairs`, "Pairs"),
      ),
    ),
    live.me?.role === "operator" &&
      h("div", { class: "buttons", role: "group", "aria-label": "Actions" }, buttons(one, act)),
  );
}

function table(one, last) {
  const perSecond = (each) => (last.seconds ? rate((each?.requests ?? 0) / last.seconds) : "–");
  const row = (version) => {
    const told = last.by[version];
    const copied = last.copies[version];
    const total = one.evidence[version] ?? {};
    const at = told?.requests ? told : copied;
    return h(
      "tr",
      { key: version },
      h("th", { scope: "row" }, versionName(one, version)),
      h("td", {}, share(one.shares[version] ?? 0)),
      h("td", {}, last.requests ? percent((told?.requests ?? 0) / last.requests) : "–"),
      h("td", {}, perSecond(told)),
      h("td", {}, perSecond(copied)),
      h("td", { class: at?.errors ? "warn" : "" }, at?.requests ? percent(at.errors / at.requests) : "–"),
      h("td", {}, seconds(total.p95 ?? total.shadow_p95)),
      h("td", {}, percent(total.agreement)),
      h("td", {}, count(total.in_flight)),
    );
  };
  const heads = [
    "Version",
    "Share set",
    "Answered",
    "Requests",
    "Copies",
    "Errors",
    "p95 in all",
    "Agreement in all",
    "In flight",
  ];
  return h(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": "Versions, table" },
    h(
      "table",
      { class: "versions" },
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          heads.map((each) => h("th", { scope: "col" }, each)),
        ),
      ),
      h("tbody", {}, versions(one).map(row)),
    ),
  );
}

/** What came in the last minute, but only since the shares are what they are, by version. */
function minuteOf(moments, changed) {
  const from = Math.max((moments.at(-1)?.at ?? 0) - 60, changed);
  const sums = { seconds: 0, requests: 0, by: {}, copies: {} };
  const add = (to, from_) => {
    for (const [version, counted] of Object.entries(from_ ?? {})) {
      const known = (to[version] ??= { requests: 0, errors: 0 });
      known.requests += counted.requests;
      known.errors += counted.errors ?? 0;
    }
  };
  for (const moment of moments.filter((each) => each.at - each.seconds >= from)) {
    sums.seconds += moment.seconds;
    add(sums.by, moment.live);
    add(sums.copies, moment.copies);
  }
  sums.requests = Object.values(sums.by).reduce((total, each) => total + each.requests, 0);
  return sums;
}

// Charts

let drawn = { of: null }; // the same data are not drawn twice

function charts(live, quantile, setQuantile) {
  const of = [live.moments, live.events, live.one.generation, quantile];
  if (drawn.of === null || of.some((each, index) => each !== drawn.of[index]))
    drawn = { of, charts: compute(live, quantile) };
  const choice = h(
    "div",
    { class: "choice", role: "group", "aria-label": "Quantile of latency" },
    QUANTILES.map((each) =>
      h(
        "button",
        { type: "button", "aria-pressed": String(each === quantile), onclick: () => setQuantile(each) },
        each,
      ),
    ),
  );
  return h(
    "section",
    { key: "charts", class: "charts", "aria-label": "Charts" },
    h("div", { class: "charts-head" }, h("h2", {}, "Last 15 minutes"), choice),
    drawn.charts.map((data) => h("time-chart", { key: data.key, class: "panel", data })),
  );
}

function compute(live, quantile) {
  const { one, moments, every } = live;
  const to = moments.at(-1)?.at ?? Date.now() / 1000;
  const from = Math.max(to - MOST, Math.min(moments[0]?.at ?? to, to - LEAST));
  const events = (live.events ?? one.events).map((event) => ({
    at: event.when,
    name: `${word(event.what)}: ${share(event.share)}`,
    kind: event.what,
  }));
  const frame = { from, to, events, gap: every * 1.5, least: 0, bounds: [] };
  const firstByte = quantile === "p50" ? "first_byte_p50" : "first_byte_p95";
  const charts = [
    {
      ...frame,
      key: "requests",
      title: "Requests a second",
      show: rate,
      least: 1,
      lines: lines(live, (each, moment) => (each?.requests ?? 0) / moment.seconds),
    },
    {
      ...frame,
      key: "errors",
      title: "Errors",
      show: percent,
      least: 0.01,
      bounds: bounds(one, "errors"),
      lines: lines(live, (each) => (each?.requests ? (each.errors ?? 0) / each.requests : null)),
    },
    {
      ...frame,
      key: "latency",
      title: `Latency ${quantile}`,
      show: seconds,
      bounds: bounds(one, quantile),
      lines: lines(live, (each) => each?.[quantile] ?? null),
    },
    {
      ...frame,
      key: "first",
      title: `First byte ${firstByte.slice(-3)}`,
      show: seconds,
      lines: lines(live, (each) => each?.[firstByte] ?? null),
    },
  ];
  const agreed = agreement(live);
  if (agreed.points.some((each) => each.y !== null)) {
    charts.push({
      ...frame,
      key: "agreement",
      title: "Agreement, of the last minute's pairs",
      show: percent,
      part: true,
      bounds: bounds(one, "agreement"),
      lines: [agreed],
    });
  }
  return charts;
}

const timeOf = (moment) => ({ at: moment.at, since: moment.at - moment.seconds });

/** One line for what each version answers, and one for what candidates do with copies. */
function lines(live, value) {
  const { one, moments } = live;
  const trusted = versions(one)[0];
  const line = (version, kind) => ({
    name: kind === "copies" ? `${version} copies` : version,
    style: `${styleOf(one, version)}${kind === "copies" ? " copy" : ""}`,
    points: moments.map((moment) => ({ ...timeOf(moment), y: value(moment[kind]?.[version], moment) })),
  });
  const seen = (version, kind) => moments.some((moment) => moment[kind]?.[version]?.requests > 0);
  return versions(one).flatMap((version) => [
    ...(seen(version, "live") || version === trusted ? [line(version, "live")] : []),
    ...(version !== trusted && seen(version, "copies") ? [line(version, "copies")] : []),
  ]);
}

function agreement(live) {
  const { one, moments } = live;
  let start = 0;
  let compared = 0;
  let matched = 0;
  const sums = moments.map((moment) =>
    Object.values(moment.pairs ?? {}).reduce(([all, alike], [n, m]) => [all + n, alike + m], [0, 0]),
  );
  const points = moments.map((moment, index) => {
    compared += sums[index][0];
    matched += sums[index][1];
    while (moments[start].at <= moment.at - ROLLING) {
      compared -= sums[start][0];
      matched -= sums[start][1];
      start += 1;
    }
    const found = wilson(matched, compared);
    return { ...timeOf(moment), y: found?.share ?? null, low: found?.low ?? null, high: found?.high ?? null };
  });
  return { name: "pairs alike", style: styleOf(one, candidateOf(one) ?? ""), points };
}

/** The bounds that gates of the YAML set for a chart. */
function bounds(one, chart) {
  return gatesOf(one).flatMap(([kind, spec]) => {
    if (chart === "errors" && kind === "error_rate" && spec.max) return [{ at: spec.max, name: "gate" }];
    if (chart === "agreement" && kind === "agreement") return [{ at: spec.min, name: "gate" }];
    if (kind !== "latency" || chart !== `p${Number((spec.quantile * 100).toFixed(1))}`) return [];
    const seen = one.gates.find((each) => each.gate === "latency")?.numbers.stable_seconds;
    const relative =
      spec.max_ratio && seen ? [{ at: spec.max_ratio * seen, name: `gate ${spec.max_ratio}×` }] : [];
    return spec.max ? [{ at: spec.max, name: "gate" }, ...relative] : relative;
  });
}

function history(events) {
  return h(
    "ol",
    { class: "history" },
    events.map((event) =>
      h(
        "li",
        { key: event.id },
        h("time", { datetime: new Date(event.when * 1000).toISOString() }, when(event.when)),
        h(
          "div",
          {},
          h(
            "p",
            {},
            h("b", { class: `what ${event.what}` }, word(event.what)),
            ` → ${word(event.phase)}, ${share(event.share)} `,
            h("span", { class: "quiet" }, `by ${event.who || "router"}`),
          ),
          event.why && h("p", { class: "quiet" }, event.why),
          event.gates.length > 0 &&
            h(
              "details",
              {},
              h(
                "summary",
                {},
                `what ${event.gates.length === 1 ? "the gate" : `${event.gates.length} gates`} said`,
              ),
              event.gates.map((ruling) =>
                h(
                  "p",
                  { class: "quiet" },
                  h("b", {}, `${word(ruling.gate)} ${ruling.verdict}`),
                  ` ${ruling.why}`,
                ),
              ),
            ),
        ),
      ),
    ),
  );
}
