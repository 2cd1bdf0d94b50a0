/** Every deployment at a glance. */

import { h } from "./dom.js";
import { count, percent, rate, seconds, word } from "./format.js";
import { candidateOf, troubled, waitsFor } from "./model.js";
import { emptyView, figure, phase, refusedEdit, sharesBar, sparkline } from "./parts.js";

const FILTERED_FROM = 6;

export function overview(live, filter, setFilter) {
  if (!live.list) return h("p", { class: "quiet", role: "status" }, "Asking the router…");
  const all = live.list.deployments;
  if (!all.length) return emptyView("No deployments", "The configuration names none.");
  const wanted = filter.trim().toLowerCase();
  const fits = (one) =>
    [one.name, one.pattern, one.phase, word(one.phase)].some((each) =>
      String(each).toLowerCase().includes(wanted),
    );
  const found = all.filter(fits).sort((one, other) => urgency(one) - urgency(other));
  return [
    h(
      "div",
      { key: "head", class: "page-head" },
      h("h1", {}, "Deployments ", h("span", { class: "quiet" }, count(all.length))),
      all.length >= FILTERED_FROM &&
        h("input", {
          key: "filter",
          type: "search",
          placeholder: "name, pattern or phase",
          "aria-label": "Filter deployments",
          value: filter,
          oninput: (event) => setFilter(event.target.value),
        }),
    ),
    all.some((one) => one.config_error) && refusedEdit(),
    h(
      "ul",
      { key: "cards", class: "cards" },
      found.map((one) => card(one, live.pulses?.[one.name], live.age)),
    ),
    !found.length &&
      h(
        "p",
        { key: "none", class: "quiet", role: "status" },
        `None of ${all.length} deployments fits “${filter}”.`,
      ),
  ];
}

function card(one, pulse, age) {
  const beats = Object.values(pulse?.versions ?? {});
  const requests = sum(beats, "rate");
  const errors = requests ? sum(beats, "errors") / requests : null;
  const slowest = beats.reduce(
    (most, each) => (each.p95 !== null && (most === null || each.p95 > most) ? each.p95 : most),
    null,
  );
  const agreement = pulse?.compared
    ? pulse.matched / pulse.compared
    : (one.evidence[candidateOf(one)]?.agreement ?? null);
  return h(
    "li",
    { key: one.name, class: `card ${troubled(one)}` },
    h(
      "div",
      { class: "card-name" },
      h(
        "div",
        { class: "card-title" },
        h("h2", {}, h("a", { href: `#/deployments/${encodeURIComponent(one.name)}` }, one.name)),
        h(
          "p",
          {},
          phase(one.phase),
          h("span", { class: "badge" }, one.spec?.rollout ? word(one.pattern) : "proxied"),
        ),
      ),
      h("p", { class: "waits" }, h("b", {}, "waits for "), waitsFor(one, age)),
    ),
    h("div", { class: "card-shares" }, sharesBar(one)),
    h(
      "dl",
      { class: "figures" },
      h(
        "div",
        { class: "figure wide" },
        h("dt", {}, "requests"),
        h("dd", {}, pulse ? rate(requests) : "–"),
        pulse && sparkline(pulse.line),
      ),
      figure("errors", percent(errors), null, errors >= 0.01 ? "warn" : ""),
      figure("p95", seconds(slowest)),
      figure("agreement", percent(agreement)),
    ),
  );
}

/** What somebody has to look at stands first; otherwise they keep their order. */
const urgency = (one) => ["bad", "warn", ""].indexOf(troubled(one));

const sum = (beats, name) => beats.reduce((total, each) => total + each[name], 0);
