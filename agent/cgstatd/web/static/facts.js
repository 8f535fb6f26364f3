// What the detail is made of. Each part is refreshed in place, so that a selection, the scroll position and what was
// unfolded stay.

// Terms with values; rows that are not given again disappear.
class Facts {
  constructor(title, className = "") {
    this.list = make("dl", className);
    this.absent = make("div");
    this.element = make("section", "", ...(title ? [make("h3", "", title)] : []), this.list, this.absent);
    this.known = new Map();
  }

  begin() {
    this.seen = new Set();
    this.reasons = new Map();
  }

  set(term, text, source = "") {
    this.seen.add(term);
    let row = this.known.get(term);
    if (!row) {
      row = {term: make("dt", "", term), value: make("dd"), source: make("dd", "source")};
      this.known.set(term, row);
      this.list.append(row.term, row.value, row.source);
    }
    put(row.value, text);
    put(row.source, source);
  }

  // A value of the detail answer.
  value(term, value) {
    if (value.absent === undefined) this.set(term, worded(value.value, value.unit), value.source);
    else this.why(term, value.absent);
  }

  why(term, reason) {
    this.reasons.set(reason, [...(this.reasons.get(reason) ?? []), term]);
  }

  end() {
    for (const [term, row] of this.known) {
      if (this.seen.has(term)) continue;
      for (const node of Object.values(row)) node.remove();
      this.known.delete(term);
    }
    const words = [...this.reasons].map(([reason, terms]) => `${terms.join(", ")}: ${reason}`);
    const now = words.join("\n");
    if (this.shown !== now) {
      this.shown = now;
      this.absent.replaceChildren(...words.map((each) => make("p", "absent", each)));
    }
    this.element.hidden = this.known.size === 0 && words.length === 0;
  }
}

// A table of plain cells, made anew when they change.
class Cells {
  constructor(title, head) {
    this.head = head;
    this.table = make("table");
    this.note = make("p", "absent");
    this.element = make("section", "", make("h3", "", title), this.table, this.note);
  }

  set(rows, note = "") {
    const now = JSON.stringify([rows, note]);
    if (this.shown === now) return;
    this.shown = now;
    const line = (tag, cells) => make("tr", "", ...cells.map((text) => make(tag, "", text)));
    this.table.replaceChildren(line("th", this.head), ...rows.map((cells) => line("td", cells)));
    this.table.hidden = rows.length === 0;
    put(this.note, note);
    this.note.hidden = !note;
    this.element.hidden = rows.length === 0 && !note;
  }
}

const count = (value) => (value == null ? UNKNOWN : worded(value));

class Limits {
  constructor() {
    this.body = make("div");
    this.element = make("section", "", make("h3", "", "Limits"), this.body);
    this.rows = new Map();
  }

  row(name, figure) {
    if (!this.rows.has(name)) {
      const row = {words: make("span"), track: bar(), note: make("div", "note")};
      this.body.append(make("div", `limit ${figure}`, make("span", "", name), row.words, row.track, row.note));
      this.rows.set(name, row);
    }
    return this.rows.get(name);
  }

  // The bar is drawn against the tightest limit, which may be an ancestor's.
  one(name, figure, limit, used, unit) {
    const {words, track, note} = this.row(name, figure);
    const number = typeof limit.tightest.value === "number" ? limit.tightest.value : null;
    const part = number && used != null ? used / number * 100 : null;
    const now = used == null ? UNKNOWN : worded(used, unit);
    put(words, number === null ? `${now}, no limit` : `${now} of ${worded(number, unit)}${part === null ? "" : ` · ${percent(part)}`}`);
    fill(track, part);
    const own = limit.own.absent ?? (limit.own.value === "max" ? "it has no limit of its own" : `its own is ${worded(limit.own.value, unit)}`);
    const foreign = number !== null && limit.own.value !== number;
    put(note, foreign ? `set by ${limit.tightestCgroup}; ${own}` : limit.own.absent ?? "");
  }

  set(detail) {
    const {limits} = detail;
    this.element.hidden = !limits.cpu;
    if (!limits.cpu) return;
    const used = (value) => (typeof value?.value === "number" ? value.value : null);
    const cpu = used(detail.cpu.percent);
    this.one("CPU", "cpu", limits.cpu, cpu === null ? null : cpu / 100, "cores");
    this.one("Memory", "memory", limits.memory, used(detail.memory.usageBytes), "bytes");
    this.one("PIDs", "pids", limits.pids, used(detail.pids.current), undefined);
  }
}
