// The detail's four larger lines, one below the other above one axis of time.

const CHARTS = [
  {id: "cpu", title: "CPU", now: (s) => percent(s.cpuPercent), top: percent, limit: (s) => s.cpuLimit == null ? null : s.cpuLimit * 100},
  {id: "memory", title: "Memory", now: (s) => binary(s.memoryUsage), top: binary, limit: (s) => s.memoryLimited ? s.memoryLimit : null},
  {id: "network", title: "Network ↓ ↑", now: (s) => s.networkAbsent ? UNKNOWN : `${rate(s.networkRxRate)} ${rate(s.networkTxRate)}`, top: rate, limit: () => null, pair: ["rx", "tx"]},
  {id: "disk", title: "Disk R W", now: (s) => `${rate(s.blockReadRate)} ${rate(s.blockWriteRate)}`, top: rate, limit: () => null, pair: ["read", "write"]},
];
const CHART_HEIGHT = 52;

// The value of a chart at a point; of a step that is longer than a round, the largest too.
function valueAt({id, top, pair}, track, at) {
  const known = (name, of = track.mean) => (Number.isNaN(of[name][at]) ? null : of[name][at]);
  if (pair) return pair.map((name) => top(known(name))).join(" ");
  const mean = known(id), most = known(id, track.most);
  return top(mean) + (most !== null && top(most) !== top(mean) ? `, at most ${top(most)}` : "");
}

class Charts {
  // on: {range(id)}
  constructor(on) {
    this.on = on;
    this.width = 200;
    this.at = null;  // the time that the reader looks at
    this.ranges = make("div", "ranges");
    this.ranges.setAttribute("role", "group");
    this.ranges.setAttribute("aria-label", "How far back the lines go");
    this.plots = make("div", "plots");
    this.charts = CHARTS.map((chart) => {
      const nowNode = make("b"), canvas = make("canvas");
      canvas.setAttribute("role", "img");
      this.plots.append(make("figure", "", make("figcaption", "", make("span", "", chart.title), nowNode), canvas));
      return {...chart, nowNode, canvas};
    });
    this.happenings = new Happenings();
    this.axis = new Axis({move: (by) => this.move(by), leave: () => this.leave()});
    this.reading = make("p", "reading");
    this.note = make("p", "absent");
    this.plots.prepend(this.happenings.lane);
    this.plots.append(this.axis.element);
    this.element = make("section", "charts", this.ranges, this.plots, this.reading, this.happenings.list, this.note);
    this.pointed();
    new ResizeObserver(() => {
      this.width = this.charts[0].canvas.clientWidth || this.width;
      this.draw();
    }).observe(this.plots);
  }

  pointed() {
    const look = (event) => {
      const box = this.charts[0].canvas.getBoundingClientRect(), {from, until} = this.track ?? {};
      if (!from || !box.width) return;
      this.look(from + (event.clientX - box.left) / box.width * (until - from));
    };
    this.plots.addEventListener("pointermove", look, {passive: true});
    this.plots.addEventListener("pointerdown", look, {passive: true});
    this.plots.addEventListener("pointerleave", (event) => { if (event.pointerType !== "touch") this.leave(); });
    document.addEventListener("pointerdown", (event) => { if (!this.plots.contains(event.target)) this.leave(); }, {passive: true});
  }

  look(time) {
    this.at = time;
    this.frame ??= requestAnimationFrame(() => { this.frame = undefined; this.draw(); });
  }

  // Whether there was something to leave.
  leave() {
    if (this.at === null) return false;
    this.at = null;
    this.draw();
    return true;
  }

  move(by) {
    const times = this.track?.times ?? [];
    if (!times.length) return;
    const at = this.at === null ? times.length - (by > 0 ? 1 : 0) : this.track.nearest(this.at);
    this.look(times[Math.max(0, Math.min(times.length - 1, at + by))]);
  }

  // offered: [{id, title}]; note: why there is no more.
  choices(offered, chosen, note) {
    const now = JSON.stringify(offered);
    if (this.offered !== now) {
      this.offered = now;
      this.ranges.replaceChildren(...offered.map(({id, title}) => {
        const button = make("button", "", title);
        Object.assign(button, {type: "button", range: id});
        button.addEventListener("click", () => this.on.range(id));
        return button;
      }));
    }
    for (const button of this.ranges.children) button.setAttribute("aria-pressed", String(button.range === chosen));
    this.ranges.hidden = offered.length < 2;
    put(this.note, note);
    this.note.hidden = !note;
  }

  // stat: the latest figures; null: it does not run.
  show(track, stat) {
    this.track = track;
    this.stat = stat;
    this.draw();
  }

  draw() {
    const {track, stat} = this;
    if (!track) return;
    const at = this.at === null ? -1 : track.nearest(this.at);
    const span = `in the last ${spanWords((track.until - track.from) / 1000)}`, values = [];
    for (const chart of this.charts) {
      const {id, title, now, top, limit, nowNode, canvas} = chart;
      const lines = LINES[id], most = track.peak(lines.map((line) => line.name), FLOORS[id]), line = stat && limit(stat);
      const scale = id !== "memory" ? most : line == null ? most * 1.15 : Math.max(line, most);
      const current = stat ? now(stat) : UNKNOWN, shown = at < 0 ? current : valueAt(chart, track, at);
      values.push(`${title} ${shown}`);
      put(nowNode, shown);
      plot(canvas, this.width, CHART_HEIGHT, track, {lines, top: scale, limit: line}, at);
      const words = `${title}: now ${current}, at most ${top(scale)} at the top of the chart, ${span}`;
      if (canvas.title !== words) {
        canvas.title = words;
        canvas.setAttribute("aria-label", words);
      }
    }
    this.happenings.show(track, this.width);
    this.read(at, values);
  }

  // Below the axis: which time it is that the values are of.
  read(at, values) {
    const {track} = this, time = track.times[at], reason = at < 0 ? "" : track.reasonAt(time);
    const words = at < 0 ? "" : `${when(time, track.until)}${reason ? `: ${reason}` : ""}`;
    const each = track.step ? `A point is ${spanWords(track.step / 1000)}.` : "";
    put(this.reading, words || each);
    toggle(this.reading, "at", Boolean(words));
    this.axis.show(track, this.width, at, words ? `${words}; ${values.join(", ")}` : "now");
  }
}
