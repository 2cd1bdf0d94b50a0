/** Puts the parts together: what the address names is shown, what the router tells is drawn, what somebody clicks is done. */

import { ask, outcome } from "./actions.js";
import { Api, Problem } from "./api.js";
import "./chart.js";
import { config } from "./config.js";
import { deployment } from "./deployment.js";
import { h, render } from "./dom.js";
import { ago, clock } from "./format.js";
import { Live } from "./live.js";
import { login } from "./login.js";
import { overview } from "./overview.js";
import { pairs } from "./pairs.js";

const PAIRS = 50; // shown at once: each is two whole answers
const SAID = 12_000; // ms that what came of an action stays

const $ = (id) => document.getElementById(id);
const upper = (text) => text.charAt(0).toUpperCase() + text.slice(1);

class Page {
  constructor() {
    this.api = new Api();
    this.live = new Live(this.api, () => this.draw());
    this.filter = "";
    this.quantile = "p95";
    this.signing = false;
    this.signed = null; // what the API said of a token
    this.reloaded = null;
    this.said = [];
    this.followed = null;
    this.browse = this.#fresh();
    addEventListener("hashchange", () => this.go());
    // The address says what is looked at, so a jump within the page is no address.
    document.querySelector(".skip").addEventListener("click", (event) => {
      event.preventDefault();
      $("view").focus();
    });
    setInterval(() => document.hidden || this.draw(), 1000); // ages and times left
    this.go();
    this.live.start();
  }

  #fresh() {
    return { verdict: "mismatch", field: null, found: null, open: null, problem: null };
  }

  go() {
    const [, view, name, tab] = location.hash.split("/").map(decodeURIComponent);
    const before = this.route;
    if (view === "config") this.route = { view };
    else if (view === "deployments" && name)
      this.route = { view: tab === "pairs" ? "pairs" : "deployment", name };
    else this.route = { view: "overview" };
    if (before?.name !== this.route.name) this.browse = this.#fresh();
    this.live.go(this.route);
    scrollTo(0, 0);
    this.draw();
    // What was clicked may be gone: whoever uses the keyboard or hears the page begins where the new view does.
    if (before !== undefined && !this.live.refused && document.activeElement === document.body)
      $("view").focus({ preventScroll: true });
  }

  async sign(token) {
    this.signing = true;
    this.signed = null;
    this.api.sign(token);
    await this.live.start();
    this.signing = false;
    if (this.live.refused) {
      this.signed = this.live.refused.message;
      this.api.sign(null);
    }
    this.draw();
  }

  leave() {
    this.api.sign(null);
    this.signed = null;
    this.live.stop();
    this.live.start();
  }

  async act(name) {
    const answer = await ask($("ask"), this.api, this.live.one, name);
    if (answer) this.say(outcome(name, answer));
    this.live.look();
  }

  say(sentences) {
    this.said = sentences;
    clearTimeout(this.silence);
    if (sentences.length) this.silence = setTimeout(() => this.say([]), SAID);
    this.draw();
  }

  async reload() {
    try {
      await this.api.post("/config/reload", {});
      this.reloaded = null;
    } catch (error) {
      this.reloaded = error.message;
    }
    this.live.look();
  }

  /** Changes what pairs are looked at; reads them anew unless `only` what is unfolded has changed. */
  look(change, only = false) {
    Object.assign(this.browse, change);
    this.draw();
    if (!only) this.read();
  }

  async read() {
    const { browse, route } = this;
    const { verdict, field } = browse;
    const query = new URLSearchParams({ limit: PAIRS });
    if (verdict) query.set("verdict", verdict);
    if (field !== null) query.set("field", field);
    try {
      const told = await this.api.get(`/deployments/${encodeURIComponent(route.name)}/pairs?${query}`);
      // Somebody may have asked for others meanwhile.
      if (browse.verdict === verdict && browse.field === field)
        Object.assign(browse, { found: told.pairs, problem: null });
    } catch (error) {
      browse.problem = error instanceof Problem ? error.message : "the controller does not answer";
    }
    this.draw();
  }

  #view() {
    const { live } = this;
    if (live.refused) return login(this.signed, this.signing, (token) => this.sign(token));
    if (!live.me && !live.lost) return h("p", { class: "quiet", role: "status" }, "Asking the router…");
    const act = (name) => this.act(name);
    switch (this.route.view) {
      case "deployment":
        return deployment(live, {
          quantile: this.quantile,
          setQuantile: (each) => this.#set({ quantile: each }),
          act,
        });
      case "pairs":
        if (live.me && !this.browse.found && !this.browse.problem && !this.reading) this.#readOnce();
        return pairs(live, { browse: this.browse, set: (change, only) => this.look(change, only), act });
      case "config":
        return config(live, { reload: () => this.reload(), problem: this.reloaded });
      default:
        return overview(live, this.filter, (filter) => this.#set({ filter }));
    }
  }

  /** The log is read when pairs are looked at first; after that only when somebody asks. */
  async #readOnce() {
    this.reading = true;
    await this.read();
    this.reading = false;
  }

  #set(change) {
    Object.assign(this, change);
    this.draw();
  }

  draw() {
    const { live, route } = this;
    const lost = live.lost && !live.refused;
    document.body.classList.toggle("stale", Boolean(lost));
    $("view").setAttribute("aria-label", route.name ?? (route.view === "config" ? "Configuration" : "Deployments"));
    document.title = [
      live.one && route.name
        ? `${route.name} ${live.one.phase.replace("_", " ")}`
        : route.view === "config"
          ? "configuration"
          : null,
      "router",
    ]
      .filter(Boolean)
      .join(" · ");
    for (const link of document.querySelectorAll(".top nav a")) {
      const here = link.hash === "#/config" ? route.view === "config" : route.view !== "config";
      link.toggleAttribute("aria-current", here);
      if (here) link.setAttribute("aria-current", "page");
    }
    render($("status"), this.#status(lost));
    render(
      $("lost"),
      lost &&
        h(
          "p",
          { class: "notice bad", role: "alert" },
          h(
            "b",
            {},
            `Stale: nothing heard since ${live.lost.since ? clock(live.lost.since) : "the page was opened"}. `,
          ),
          `${upper(live.lost.why)}. What is shown is as it was then. Requests are still served: workers go on without their controller. Trying again…`,
        ),
    );
    render($("view"), this.#view());
    this.#follow();
    if (live.refused && document.activeElement === document.body) document.querySelector("[name=token]").focus();
    render(
      $("said"),
      this.said.map((each) => h("p", {}, each)),
    );
  }

  /** A ramp that is wider than the window shows the step where it is, once for each. */
  #follow() {
    const here = document.querySelector(".stair.here, .stair.fell");
    const step = here && `${this.route.name} ${[...here.parentNode.children].indexOf(here)}`;
    if (step === this.followed) return;
    this.followed = step;
    const ramp = here?.parentNode;
    if (ramp) ramp.scrollLeft = here.offsetLeft - (ramp.clientWidth - here.clientWidth) / 2;
  }

  #status(lost) {
    const { live } = this;
    if (live.refused) return null;
    return [
      h(
        "span",
        { key: "dot", class: lost ? "pulse lost" : "pulse" },
        lost
          ? `stale, ${live.heard ? ago(Date.now() / 1000 - live.heard) : "never heard"}`
          : live.me
            ? "live"
            : "…",
      ),
      live.me &&
        h("span", { key: "me", class: "me" }, this.api.signed ? `${live.me.name}, ${live.me.role}` : ""),
      this.api.signed &&
        h("button", { key: "leave", type: "button", class: "link", onclick: () => this.leave() }, "Sign out"),
    ];
  }
}

new Page();
