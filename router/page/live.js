/**
 * What the page knows, kept up to date: an event stream says when something has changed, and numbers are asked for
 * every few seconds while somebody looks. Where the controller falls silent, what was known stays, with its age.
 */

import { Problem } from "./api.js";

const NUMBERS = 3; // s between two looks at trends, as often as the controller has new ones
const STATE = 6; // s between two looks at states and gates, which the event stream does not tell
const RETRY = [1, 2, 3, 5]; // s between two attempts to be heard
const KEPT = 900; // s of moments kept here, over restarts of the controller
const SETTLE = 120; // ms in which events are gathered before one look at what they led to
const CALM = 1000; // ms between two such looks

const sleep = (seconds) => new Promise((go) => setTimeout(go, 1000 * seconds));

export class Live {
  /** `changed` is called whenever there is something new to show. */
  constructor(api, changed) {
    this.api = api;
    this.changed = changed;
    this.me = null;
    this.list = null;
    this.pulses = null;
    this.one = null;
    this.events = null;
    this.moments = [];
    this.every = NUMBERS;
    this.comparison = null;
    this.config = null;
    this.missing = null; // what the API said of a deployment that is not there
    this.refused = null; // 401: somebody has to sign in
    this.lost = null; // {since, why} while nobody answers
    this.heard = null; // when something was told last, on this machine's clock, in seconds
    this.asOf = 0;
    this.#route = { view: "overview" };
  }

  #route;
  #timers = new Map();
  #running = false;
  #settling = null;
  #stream = new AbortController();
  #settled = 0;

  /** Begins, or begins anew with another token. */
  async start() {
    this.refused = null;
    try {
      this.me = await this.api.get("/me");
    } catch (error) {
      this.#failed(error);
      if (!this.refused) setTimeout(() => this.start(), 1000 * RETRY[1]);
      return;
    }
    this.#answered();
    if (!this.#running) {
      this.#running = true;
      this.#listen();
      document.addEventListener("visibilitychange", () =>
        document.hidden ? this.#stream.abort() : this.look(),
      );
    }
    this.look();
  }

  /** Forgets everything that needed a token. */
  stop() {
    this.me = this.list = this.pulses = this.one = this.events = this.comparison = this.config = null;
    this.moments = [];
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#stream.abort(); // it was opened with that token
    this.changed();
  }

  /** Another part of the page is looked at. */
  go(route) {
    if (route.name !== this.#route.name) {
      this.one = this.list?.deployments.find((each) => each.name === route.name) ?? null;
      this.events = this.comparison = this.missing = null;
      this.moments = [];
    }
    this.#route = route;
    if (this.me) this.look();
  }

  /** Seconds since what is shown was told; while nobody answers it stands still, for nobody knows what goes on. */
  get age() {
    const now = this.lost ? this.heard : Date.now() / 1000;
    return this.asOf ? Math.max(0, now - this.asOf) : 0;
  }

  /** Asks for everything that is looked at, now. */
  look() {
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
    for (const name of Object.keys(this.#wanted())) this.#repeat(name);
  }

  /** What is to be asked for here, and how many seconds lie between two times; 0: only when something happened. */
  #wanted() {
    // In a list, a deployment costs the controller up to a fifth of a millisecond each time, its pulse half of that: with
    // these pauses a page takes less than 100 ms a minute however many there are (`make page-cost`). Events are told at
    // once.
    const count = this.list?.deployments.length ?? 0;
    switch (this.#route.view) {
      case "deployment":
        return { One: STATE, Moments: NUMBERS, Events: 0 };
      case "pairs":
        return { One: STATE, Comparison: STATE };
      case "config":
        return { Config: 10 * STATE };
      default:
        return {
          List: Math.max(STATE, 0.6 * count),
          Pulses: Math.max(STATE, 0.4 * count),
        };
    }
  }

  async #repeat(name) {
    const route = this.#route;
    const take = await this.#ask(this[`load${name}`](route.name));
    if (route !== this.#route || !this.me) return;
    if (take) take();
    this.changed();
    const every = this.#wanted()[name]; // as it is now: the list has come meanwhile
    if (!every) return;
    clearTimeout(this.#timers.get(name));
    const next = this.lost ? RETRY[0] : every;
    this.#timers.set(
      name,
      setTimeout(() => !document.hidden && this.#repeat(name), 1000 * next),
    );
  }

  async #ask(loading) {
    try {
      const take = await loading;
      this.#answered();
      return take;
    } catch (error) {
      this.#failed(error);
      return null;
    }
  }

  #answered() {
    this.heard = Date.now() / 1000;
    this.lost = null;
  }

  #failed(error) {
    if (error instanceof Problem && error.status === 401) {
      this.refused = error;
      this.stop();
    } else if (error instanceof Problem && error.status === 404) {
      this.#answered();
      this.missing = error;
    } else {
      const why = error instanceof Problem ? error.message : "the controller does not answer";
      this.lost = { since: this.lost?.since ?? this.heard, why };
    }
    this.changed();
  }

  // Each gives a function that takes what came: it is not taken where somebody has looked elsewhere meanwhile.

  async loadList() {
    const list = await this.api.get("/deployments?intervals=no");
    return () => {
      this.list = list;
      this.asOf = Date.now() / 1000;
    };
  }

  async loadPulses() {
    const pulses = await this.api.get("/trends");
    return () => (this.pulses = pulses.deployments);
  }

  async loadOne(name) {
    const one = await this.api.get(`/deployments/${encodeURIComponent(name)}`);
    return () => {
      const news = one.events[0]?.id !== this.events?.[0]?.id;
      this.one = one;
      this.missing = null;
      this.asOf = Date.now() / 1000;
      if (news && this.events && this.#route.view === "deployment") this.#repeat("Events");
    };
  }

  async loadEvents(name) {
    const history = await this.api.get(`/deployments/${encodeURIComponent(name)}/history?limit=100`);
    return () => (this.events = history.events);
  }

  async loadMoments(name) {
    const last = this.moments.at(-1)?.at ?? 0;
    const told = await this.api.get(`/deployments/${encodeURIComponent(name)}/trends?since=${last}`);
    return () => {
      const fresh = told.moments.filter((each) => each.at > (this.moments.at(-1)?.at ?? 0));
      const from = (fresh.at(-1)?.at ?? last) - KEPT;
      this.every = told.every;
      if (fresh.length) this.moments = [...this.moments, ...fresh].filter((each) => each.at > from);
    };
  }

  async loadComparison(name) {
    const comparison = await this.api.get(`/deployments/${encodeURIComponent(name)}/comparison?source=live`);
    return () => (this.comparison = comparison);
  }

  async loadConfig() {
    const config = await this.api.get("/config");
    return () => {
      this.config = config;
      this.asOf = Date.now() / 1000;
    };
  }

  /** Listens for ever, but only while somebody looks: a browser opens few connections to one host, over all tabs. */
  async #listen() {
    for (let attempt = 0; ; attempt += 1) {
      while (document.hidden || !this.me) await sleep(RETRY[0]);
      this.#stream = new AbortController();
      try {
        for await (const event of this.api.events(this.#stream)) {
          const again = attempt > 0;
          if (event.event === "listening") attempt = 0;
          if (this.#concerns(event) && (again || event.event !== "listening")) this.#settle();
          if (event.event === "closing") break;
        }
      } catch (error) {
        if (error instanceof Problem && error.status === 401) this.#failed(error);
      }
      this.#settle(); // the stream broke: whether anybody is there shows at once
      await sleep(RETRY[Math.min(attempt, RETRY.length - 1)]);
    }
  }

  #concerns(event) {
    return !event.deployment || !this.#route.name || event.deployment === this.#route.name;
  }

  #settle() {
    if (this.#settling !== null) return;
    const calm = Math.max(CALM, 50 * (this.list?.deployments.length ?? 0));
    const wait = Math.max(SETTLE, this.#settled + calm - Date.now());
    this.#settling = setTimeout(() => {
      this.#settling = null;
      this.#settled = Date.now();
      if (this.me && !document.hidden) this.look();
    }, wait);
  }
}
