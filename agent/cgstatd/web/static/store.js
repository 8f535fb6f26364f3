// What is known of the containers: the latest figures of each, and its figures of the last rounds.

const POINTS = 180;
const MOST_MARKS = 200;
const ENDED_MS = 20000;  // how long a container that ended stays in the table
const SERIES = ["cpu", "memory", "rx", "tx", "read", "write"];

class History {
  constructor() {
    this.at = 0;  // the next to be written, which is the oldest
    for (const name of SERIES) this[name] = new Float32Array(POINTS).fill(NaN);
  }

  push(stat) {
    const values = stat === null ? [] : [
      stat.cpuPercent, stat.memoryUsage, stat.networkRxRate, stat.networkTxRate, stat.blockReadRate, stat.blockWriteRate,
    ];
    SERIES.forEach((name, n) => { this[name][this.at] = values[n] ?? NaN; });
    this.at = (this.at + 1) % POINTS;
  }

  // Points before the first round that came to this page; valueOf: (name, how many points ago).
  fill(valueOf) {
    for (let ago = POINTS - 1; ago >= 0; ago -= 1) {
      const at = (this.at + POINTS - 1 - ago) % POINTS;
      if (!SERIES.every((name) => Number.isNaN(this[name][at]))) return;
      for (const name of SERIES) this[name][at] = valueOf(name, ago) ?? NaN;
    }
  }
}

function keyOf(thing) {
  return `${thing.runtime}\n${thing.ownerUid ?? ""}\n${thing.id}`;
}

class Store {
  constructor() {
    this.containers = new Map();
    this.round = new Map();  // what came since the last end of a round
    this.identities = new Map();  // {image, pod}
    this.times = new Float64Array(POINTS).fill(NaN);  // of the last rounds, by the agent's clock
    this.timesAt = 0;
    this.now = 0;  // of the latest round
    this.apart = 1000;  // milliseconds between rounds
    this.stopped = [];  // entries of those that do not run
    this.marks = [];  // starts, exits and OOM kills since the page was opened
  }

  tick(time) {
    this.times[this.timesAt] = time;
    this.timesAt = (this.timesAt + 1) % POINTS;
  }

  mark(id, {event, timestamp, kills, exitCode, oomKilled}) {
    this.marks.push({id, event, timestamp, kills, exitCode, oomKilled});
    if (this.marks.length > MOST_MARKS) this.marks.shift();
  }

  marksOf(id) {
    return this.marks.filter((mark) => mark.id === id);
  }

  identity(found) {
    const what = {image: found.image ?? "", pod: found.pod ?? ""};
    this.identities.set(found.id, what);
    Object.assign(this.containers.get(keyOf(found)) ?? {}, what);
  }

  stat(stat) {
    this.round.set(keyOf(stat), stat);
  }

  // A round is complete: who is neither in it nor late is gone. time, apart: the agent's; late: ids.
  endRound(now, time, apart, late = []) {
    const waited = new Set(late);
    Object.assign(this, {now: time, apart});
    this.tick(time);
    for (const [key, stat] of this.round) {
      const known = this.containers.get(key);
      if (known) {
        known.stat = stat;
        known.ended = null;
      } else {
        const what = this.identities.get(stat.id) ?? {image: "", pod: ""};
        this.containers.set(key, {key, stat, ...what, history: new History(), ended: null, until: 0, words: ""});
      }
    }
    for (const [key, entry] of this.containers) {
      const stat = this.round.get(key) ?? null;
      entry.history.push(stat);
      entry.late = stat === null && !entry.ended && waited.has(entry.stat.id);
      if (stat === null && !entry.late && now > entry.until) this.containers.delete(key);
    }
    this.round = new Map();
  }

  // What the agent remembers of the time before this page was opened: each point is the step that it is in.
  fill({timestamps, step, containers}) {
    const known = new Map(containers.map((each) => [keyOf(each), each.figures])), last = timestamps.length - 1;
    const steps = Array.from({length: POINTS}, (_, ago) => {
      const time = this.now - ago * this.apart, found = timestamps.findIndex((each) => each >= time);
      if (found < 0) return time - timestamps[last] < step * 1000 ? last : -1;
      return timestamps[found] - time < step * 1000 ? found : -1;
    });
    for (const entry of this.containers.values()) {
      const figures = known.get(entry.key);
      if (figures) entry.history.fill((name, ago) => figures[FIGURES[SERIES.indexOf(name)]]?.[steps[ago]]);
    }
  }

  // An ended container stays for a while, marked. ``exit`` has no owner: its last figures do.
  ended(event, now) {
    const found = event.last && this.containers.get(keyOf(event.last));
    if (found) {
      found.ended = event;
      found.until = now + ENDED_MS;
    }
  }

  // Figures are missing for a while: a gap in every line.
  gap() {
    this.round = new Map();
    this.tick(this.now);
    for (const entry of this.containers.values()) entry.history.push(null);
  }
}

// The text that the filter looks in; made once for each state of an entry.
function searched(entry) {
  const {stat, image, pod} = entry;
  if (entry.searchedFor !== stat.name + image + pod) {
    entry.searchedFor = stat.name + image + pod;
    entry.words = [stat.name, stat.id, stat.runtime, stat.project ?? "", image, pod].join("\n").toLowerCase();
  }
  return entry.words;
}

const sum = (one, other) => (one == null && other == null ? null : (one ?? 0) + (other ?? 0));
const COLUMNS = [
  {id: "name", title: "Container", of: (s) => s.name, text: true},
  {id: "project", title: "Project", of: (s) => s.project || null, text: true},
  {id: "runtime", title: "Runtime", of: (s) => s.runtime, text: true},
  {id: "cpu", title: "CPU", unit: "100\u202f% is a core", of: (s) => s.cpuPercent},
  {id: "memory", title: "Memory", of: (s) => s.memoryUsage},
  {id: "network", title: "Network", of: (s) => sum(s.networkRxRate, s.networkTxRate)},
  {id: "disk", title: "Disk", of: (s) => sum(s.blockReadRate, s.blockWriteRate)},
  {id: "pids", title: "PIDs", of: (s) => s.pids},
];
const collator = new Intl.Collator("en", {numeric: true});

// Who is shown, in order. What is not known comes last in either direction.
function selected(containers, filter, sort) {
  const words = filter.text.toLowerCase().split(/\s+/).filter(Boolean);
  const found = [];
  for (const entry of containers) {
    const {stat} = entry;
    if (filter.runtime && stat.runtime !== filter.runtime) continue;
    if (filter.project && stat.project !== filter.project) continue;
    if (words.length && !words.every((word) => searched(entry).includes(word))) continue;
    found.push(entry);
  }
  return ordered(found, sort);
}

// Those that run come first, then the one that has stopped last.
function later({stopped: one}, {stopped: other}) {
  return Boolean(one) - Boolean(other) || (other?.since ?? 0) - (one?.since ?? 0);
}

function ordered(found, sort) {
  const column = COLUMNS.find((each) => each.id === sort.column) ?? COLUMNS[0];
  const sign = sort.descending ? -1 : 1;
  const names = (a, b) => collator.compare(a.stat.name, b.stat.name) || (a.key < b.key ? -1 : 1);
  return found.sort((a, b) => {
    const one = column.of(a.stat), other = column.of(b.stat);
    if (one == null || other == null) return (one == null) - (other == null) || later(a, b) || names(a, b);
    const order = column.text ? collator.compare(one, other) : one - other;
    return order ? sign * order : names(a, b);
  });
}
