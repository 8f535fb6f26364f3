// The stream that stays open. Read with fetch rather than EventSource, which can neither send a token nor tell a
// refusal from a dead agent.

const SILENCE_MS = 12000;  // the agent says something every 5 s
const WAITS_MS = [500, 1000, 2000, 3000, 5000];

// Bytes -> events: {name, id, data}. Lines end in LF, data has one line (the agent promises both).
class Parser {
  constructor(on) {
    this.on = on;
    this.rest = "";
    this.decoder = new TextDecoder();
  }

  feed(bytes) {
    const blocks = (this.rest + this.decoder.decode(bytes, {stream: true})).split("\n\n");
    this.rest = blocks.pop();
    for (const block of blocks) {
      const event = {name: "message", id: "", data: ""};
      for (const line of block.split("\n")) {
        const colon = line.indexOf(": ");
        if (colon <= 0) continue;
        const field = line.slice(0, colon);
        if (field === "event") event.name = line.slice(colon + 2);
        else if (field in event) event[field] = line.slice(colon + 2);
      }
      if (event.data) this.on(event);
    }
  }
}

class Refused extends Error {
  constructor(status, words, wait) {
    super(words);
    this.status = status;
    this.wait = wait;
  }
}

async function refusal(response) {
  const body = await response.json().catch(() => ({}));
  const words = [body.error, body.message].filter((each) => typeof each === "string").join(": ");
  const wait = Number(response.headers.get("Retry-After"));
  return new Refused(response.status, words || `answered ${response.status}`, wait > 0 ? wait * 1000 : 0);
}

// JSON of one of the agent's answers, with the token where there is one.
async function ask(path, token, signal) {
  const headers = token ? {Authorization: `Bearer ${token}`} : {};
  const response = await fetch(path, {headers, signal, cache: "no-store"});
  if (!response.ok) throw await refusal(response);
  return response.json();
}

class Stream {
  // on: {open(), event(name, data), lost(reason, waitMs), refused(status, words)}
  constructor(on) {
    this.on = on;
    this.lastId = "";
    this.failures = 0;
    this.abort = null;
    this.timer = 0;
  }

  start(path, token) {
    this.stop();
    this.path = path;
    this.token = token;
    this.connect();
  }

  stop() {
    clearTimeout(this.timer);
    clearTimeout(this.silence);
    this.abort?.abort();
    this.abort = null;
  }

  retryNow() {
    this.stop();
    this.connect();
  }

  listen(abort) {
    clearTimeout(this.silence);
    this.silence = setTimeout(() => abort.abort(), SILENCE_MS);
  }

  async connect() {
    const abort = this.abort = new AbortController();
    try {
      await this.read(abort);
      throw new Error("the stream ended");
    } catch (error) {
      if (this.abort !== abort) return;  // stopped on purpose
      clearTimeout(this.silence);
      const wait = error.wait || WAITS_MS[Math.min(this.failures, WAITS_MS.length - 1)];
      this.failures += 1;
      if (error instanceof Refused && (error.status === 401 || error.status === 403)) {
        this.on.refused(error.status, error.message);
        return;
      }
      this.on.lost(error instanceof Refused ? error.message : "", wait);
      this.timer = setTimeout(() => this.connect(), wait * (0.9 + Math.random() * 0.2));
    }
  }

  async read(abort) {
    const headers = {Accept: "text/event-stream"};
    if (this.token) headers.Authorization = `Bearer ${this.token}`;
    if (this.lastId) headers["Last-Event-ID"] = this.lastId;
    this.listen(abort);
    const response = await fetch(this.path, {headers, signal: abort.signal, cache: "no-store"});
    if (!response.ok) throw await refusal(response);
    this.on.open();
    const parser = new Parser(({name, id, data}) => {
      if (id) this.lastId = id;
      this.failures = 0;
      this.on.event(name, JSON.parse(data));
    });
    const reader = response.body.getReader();
    for (;;) {
      const {done, value} = await reader.read();
      if (done) return;
      this.listen(abort);
      parser.feed(value);
    }
  }
}
