/**
 * `<time-chart>`: lines over time, several on one scale. Its property `data` says what to draw:
 *
 *     {title, show, lines, bounds, events, from, to, gap, least, part}
 *
 * `show` writes a value; the scale reaches to `least` at least, and where `part` is true it is one of parts of a whole,
 * which ends at 1 and begins where the lines are. A line is {name, style, points: [{at, since, y, low, high}]} with
 * `style` one of the classes l0 l1 l2 l3, and `copy` for a dashed one; a point is what came from `since` to `at`, `low`
 * and `high` make a band. A bound is {at, name}, an event {at, name}. Where a point has no value, or begins more than
 * `gap` seconds after the one before, the line has a gap.
 *
 * The pointer or the arrow keys move a read-out, in all charts at once. A table below says the same in words.
 */

import { h, render } from "./dom.js";
import { clock, minute } from "./format.js";
import { linear, nearest, runs, ticks, times, widened } from "./scale.js";

const HEIGHT = 190;
const LEFT = 54;
const RIGHT = 10;
const TOP = 14;
const BOTTOM = 24;
const IN_SIGHT = 2.5; // a bound further off than so many times what was seen is named at the edge, not drawn
const TABLE_ROWS = 60;

const cursor = new EventTarget();

function pointTo(at, source) {
  cursor.dispatchEvent(new CustomEvent("move", { detail: { at, source } }));
}

class TimeChart extends HTMLElement {
  #data = null;
  #width = 0;
  #at = null;
  #said = "";
  #open = false;
  #hidden = new Set();
  #sizes = new ResizeObserver(([entry]) => {
    const width = Math.round(entry.contentRect.width);
    if (width !== this.#width) {
      this.#width = width;
      this.#draw();
    }
  });
  #moved = ({ detail }) => {
    this.#at = detail.at;
    if (detail.source !== this) this.#said = "";
    this.#draw();
  };

  set data(data) {
    this.#data = data;
    if (this.isConnected) this.#draw();
  }

  connectedCallback() {
    this.#sizes.observe(this);
    cursor.addEventListener("move", this.#moved);
  }

  disconnectedCallback() {
    this.#sizes.disconnect();
    cursor.removeEventListener("move", this.#moved);
  }

  get #lines() {
    return this.#data.lines.filter((line) => !this.#hidden.has(line.name));
  }

  get #moments() {
    const all = new Set(this.#lines.flatMap((line) => line.points.map((point) => point.at)));
    return [...all].filter((at) => at >= this.#data.from).sort((one, other) => one - other);
  }

  #draw() {
    if (!this.#data || this.#width < 80) return;
    const place = this.#place();
    const index = this.#at === null ? -1 : nearest(this.#moments, this.#at);
    const at = index < 0 ? null : this.#moments[index];
    render(this, this.#head(at), this.#picture(place, at), this.#readOut(place, at), this.#table());
  }

  #place() {
    const { from, to, least, part, bounds } = this.#data;
    const seen = this.#lines.flatMap((line) =>
      line.points
        .filter((each) => each.y !== null && each.at >= from)
        .flatMap((each) => [each.y, each.high ?? each.y, each.low ?? each.y]),
    );
    const top = Math.max(...seen, 0);
    const near = bounds
      .map((bound) => bound.at)
      .filter((at) => part || at <= Math.max(top, least) * IN_SIGHT);
    const [bottom, upper] = part
      ? [widened(Math.min(0.95, ...seen, ...near), 1, 4)[0], 1]
      : widened(0, Math.max(top, least, ...near) * 1.06, 4);
    return {
      x: linear(from, to, LEFT, this.#width - RIGHT),
      y: linear(bottom, upper, HEIGHT - BOTTOM, TOP),
      bottom,
      upper,
      empty: seen.length === 0,
    };
  }

  #head(at) {
    const { title, show, lines } = this.#data;
    const entry = (line) => {
      const last = line.points.at(-1);
      const point = at === null ? last : line.points.find((each) => each.at === at);
      const off = this.#hidden.has(line.name);
      return h(
        "button",
        {
          key: line.name,
          type: "button",
          class: "legend",
          "aria-pressed": String(!off),
          title: off ? `show ${line.name}` : `hide ${line.name}`,
          onclick: () => this.#toggle(line.name),
        },
        h(
          "svg",
          { class: "swatch", width: 18, height: 8, "aria-hidden": "true" },
          h("path", { class: `line ${line.style}`, d: "M1 4H17" }),
        ),
        line.name,
        h("b", {}, show(point?.y)),
      );
    };
    return h(
      "div",
      { class: "chart-head" },
      h("h3", {}, title),
      h("div", { class: "legends" }, lines.map(entry)),
    );
  }

  #toggle(name) {
    if (!this.#hidden.delete(name)) this.#hidden.add(name);
    this.#draw();
  }

  #picture(place, at) {
    const { title, from, to, show } = this.#data;
    const width = this.#width;
    const seconds = times(from, to, Math.max(2, Math.floor(width / 110)));
    const levels = ticks(place.bottom, place.upper, 4);
    const parts = [
      levels.map((value) => [
        h("path", { class: "grid", d: `M${LEFT} ${place.y(value)}H${width - RIGHT}` }),
        h("text", { class: "tick", x: LEFT - 8, y: place.y(value) + 4, "text-anchor": "end" }, show(value)),
      ]),
      seconds.at.map((each) =>
        h(
          "text",
          {
            class: "tick",
            x: Math.min(Math.max(place.x(each), LEFT + 14), width - 28),
            y: HEIGHT - 6,
            "text-anchor": "middle",
          },
          seconds.step < 60 ? clock(each) : minute(each),
        ),
      ),
      this.#events(place),
      this.#lines.map((line) => this.#line(line, place)),
      this.#data.bounds.map((bound) => this.#bound(bound, place)),
      place.empty &&
        h(
          "text",
          { class: "tick", x: (LEFT + width) / 2, y: HEIGHT / 2, "text-anchor": "middle" },
          "nothing seen yet",
        ),
      at !== null && this.#mark(at, place),
    ];
    const settings = {
      key: "picture",
      width,
      height: HEIGHT,
      viewBox: `0 0 ${width} ${HEIGHT}`,
      tabindex: "0",
      role: "img",
      "aria-label": `${title}, ${this.#summary()}. Arrow keys read it out; a table follows.`,
      onpointermove: (event) => pointTo(linear(LEFT, width - RIGHT, from, to)(event.offsetX), this),
      onpointerleave: () => pointTo(null, this),
      onblur: () => pointTo(null, this),
      onkeydown: (event) => this.#key(event),
    };
    return h("svg", settings, parts);
  }

  #summary() {
    const { lines, show } = this.#data;
    return lines.map((line) => `${line.name} now ${show(line.points.at(-1)?.y)}`).join(", ") || "no lines";
  }

  #line(line, place) {
    const { from, gap } = this.#data;
    const near = line.points.filter((each) => each.at >= from);
    const spot = (each, y) => `${place.x(each.at).toFixed(1)} ${place.y(y).toFixed(1)}`;
    return runs(near, gap).map((run) => {
      const band = run[0].low !== undefined && run.length > 1;
      const edge = [
        ...run.map((each) => spot(each, each.high ?? each.y)),
        ...run.toReversed().map((each) => spot(each, each.low ?? each.y)),
      ];
      return [
        band && h("path", { class: `band ${line.style}`, d: `M${edge.join("L")}Z` }),
        run.length > 1
          ? h("path", {
              class: `line ${line.style}`,
              d: `M${run.map((each) => spot(each, each.y)).join("L")}`,
            })
          : h("circle", { class: `dot ${line.style}`, cx: place.x(run[0].at), cy: place.y(run[0].y), r: 2 }),
      ];
    });
  }

  #bound(bound, place) {
    const right = this.#width - RIGHT;
    const outside = bound.at > place.upper || bound.at < place.bottom;
    const y = outside ? (bound.at > place.upper ? TOP : HEIGHT - BOTTOM) : place.y(bound.at);
    const name = `${bound.name} ${this.#data.show(bound.at)}`;
    return [
      !outside && h("path", { class: "bound", d: `M${LEFT} ${y}H${right}` }),
      h(
        "text",
        { class: "bound-name", x: right - 2, y: y < TOP + 14 ? y + 12 : y - 4, "text-anchor": "end" },
        outside ? `${name} ${bound.at > place.upper ? "↑" : "↓"}` : name,
      ),
    ];
  }

  #events(place) {
    return this.#data.events
      .filter((event) => event.at >= this.#data.from && event.at <= this.#data.to)
      .map((event) => {
        const x = place.x(event.at).toFixed(1);
        return [
          h("path", { class: `event ${event.kind}`, d: `M${x} ${TOP}V${HEIGHT - BOTTOM}` }),
          h("path", { class: `flag ${event.kind}`, d: `M${x} ${TOP}l-4 -7h8z` }, h("title", {}, event.name)),
        ];
      });
  }

  #mark(at, place) {
    const x = place.x(at);
    const dots = this.#lines.map((line) => {
      const point = line.points.find((each) => each.at === at);
      return (
        point &&
        point.y !== null &&
        h("circle", { class: `dot ${line.style}`, cx: x, cy: place.y(point.y), r: 3.5 })
      );
    });
    return [h("path", { class: "cursor", d: `M${x} ${TOP}V${HEIGHT - BOTTOM}` }), dots];
  }

  #key(event) {
    const moments = this.#moments;
    const here = this.#at === null ? moments.length : nearest(moments, this.#at);
    const wanted = { ArrowLeft: here - 1, ArrowRight: here + 1, Home: 0, End: moments.length - 1 }[event.key];
    if (event.key === "Escape") pointTo(null, this);
    if (wanted === undefined || !moments.length) return;
    event.preventDefault();
    const at = moments[Math.min(Math.max(wanted, 0), moments.length - 1)];
    this.#said = this.#told(at).join(", ");
    pointTo(at, this);
  }

  #told(at) {
    const { events, show, gap } = this.#data;
    const values = this.#lines.map((line) => {
      const point = line.points.find((each) => each.at === at);
      const band =
        point && point.y !== null && point.low !== undefined
          ? ` [${show(point.low)}, ${show(point.high)}]`
          : "";
      return `${line.name} ${show(point?.y)}${band}`;
    });
    const near = events.filter((event) => Math.abs(event.at - at) <= gap / 2).map((event) => event.name);
    return [clock(at), ...values, ...near];
  }

  #readOut(place, at) {
    const live = h("output", { key: "said", class: "unseen", "aria-live": "polite" }, this.#said);
    if (at === null) return live;
    const [time, ...rest] = this.#told(at);
    const x = place.x(at);
    const left = x > this.#width / 2;
    const style = { left: `${x}px`, transform: left ? "translateX(calc(-100% - 10px))" : "translateX(10px)" };
    return [
      h(
        "div",
        { key: "tip", class: "tip", "aria-hidden": "true", style },
        h("b", {}, time),
        rest.map((each) => h("span", {}, each)),
      ),
      live,
    ];
  }

  #table() {
    const toggle = (event) => {
      this.#open = event.target.open;
      this.#draw();
    };
    return h(
      "details",
      { key: "table", class: "table", ontoggle: toggle },
      h("summary", {}, "Table"),
      this.#open && this.#rows(),
    );
  }

  #rows() {
    const { title, lines, show } = this.#data;
    const rows = this.#moments.slice(-TABLE_ROWS).toReversed();
    const by = lines.map((line) => new Map(line.points.map((each) => [each.at, each.y])));
    return h(
      "div",
      { class: "scroll", tabindex: "0", role: "region", "aria-label": `${title}, table` },
      h(
        "table",
        {},
        h(
          "thead",
          {},
          h(
            "tr",
            {},
            h("th", { scope: "col" }, "Time"),
            lines.map((line) => h("th", { scope: "col" }, line.name)),
          ),
        ),
        h(
          "tbody",
          {},
          rows.map((at) =>
            h(
              "tr",
              {},
              h("th", { scope: "row" }, clock(at)),
              by.map((values) => h("td", {}, show(values.get(at)))),
            ),
          ),
        ),
      ),
    );
  }
}

customElements.define("time-chart", TimeChart);
