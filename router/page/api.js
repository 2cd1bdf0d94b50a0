/**
 * The admin API. The token lives in this object and nowhere else: no cookie, no storage. So no other page can act in
 * somebody's name, and it is gone with the tab.
 */

const PATIENCE = 10_000; // ms for an answer
const SILENCE = 40_000; // ms without a word on the event stream, which says something every 15 s

/** An answer that is a refusal: what the API said, in its words. */
export class Problem extends Error {
  constructor(status, said) {
    super(said.detail ?? said.title ?? `the router answered ${status}`);
    this.status = status;
    this.said = said;
  }
}

export class Api {
  #token = null;

  /** Uses this token from now on; null: none. */
  sign(token) {
    this.#token = token;
  }

  get signed() {
    return this.#token !== null;
  }

  /** What a path below /api/v1 says, as JSON. Rejects with Problem, or with another error where nobody answered. */
  async get(path) {
    return this.#read(await this.#send("GET", path));
  }

  /** Acts; `seen` is the generation on whose sight. */
  async post(path, body, seen) {
    const headers = { "Content-Type": "application/json" };
    if (seen !== undefined) headers["If-Match"] = `"${seen}"`;
    return this.#read(await this.#send("POST", path, headers, JSON.stringify(body)));
  }

  /** Every event as it happens, until the stream ends, breaks, or `stop` (an AbortController) says so. */
  async *events(stop) {
    const answer = await this.#send("GET", "/events", {}, undefined, stop);
    if (!answer.ok) await this.#read(answer);
    yield { event: "listening" };
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    try {
      for (;;) {
        const timer = setTimeout(() => stop.abort(), SILENCE);
        const { done, value } = await reader.read().finally(() => clearTimeout(timer));
        if (done) return;
        const pieces = (text + value).split("\n\n");
        text = pieces.pop();
        for (const piece of pieces) {
          const line = piece.split("\n").find((each) => each.startsWith("data: "));
          if (line) yield JSON.parse(line.slice(6));
        }
      }
    } finally {
      stop.abort();
    }
  }

  async #send(method, path, headers = {}, body = undefined, stop = new AbortController()) {
    if (this.#token !== null) headers.Authorization = `Bearer ${this.#token}`;
    const timer = setTimeout(() => stop.abort(), PATIENCE);
    try {
      const settings = { method, headers, body, cache: "no-store", credentials: "omit", redirect: "error" };
      return await fetch(`/api/v1${path}`, { ...settings, signal: stop.signal });
    } finally {
      clearTimeout(timer);
    }
  }

  async #read(answer) {
    const text = await answer.text();
    let said;
    try {
      said = JSON.parse(text);
    } catch {
      said = { detail: text.slice(0, 500) || undefined };
    }
    if (!answer.ok) throw new Problem(answer.status, said);
    return said;
  }
}
