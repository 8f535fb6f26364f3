// One row of the table. Nodes are written only where something changed; names are input: text only.

const PIDS_SHOWN = 10;  // systemd gives everything some limit in the thousands: a bar below this says nothing

function make(tag, className, ...children) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.append(...children);
  return node;
}

function put(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function toggle(node, name, on) {
  if (node.classList.contains(name) !== on) node.classList.toggle(name, on);
}

// A bar of the share of a limit; null: no limit, no bar.
function fill(track, share) {
  toggle(track, "on", share !== null);
  if (share === null) return;
  track.firstChild.style.transform = `scaleX(${Math.min(1, Math.max(0, share / 100)).toFixed(3)})`;
  toggle(track, "near", level(share) === 1);
  toggle(track, "full", level(share) === 2);
}

function bar() {
  return make("div", "track", make("i"));
}

// Two lines and a sparkline.
class Figure {
  constructor(id) {
    this.id = id;
    this.value = make("div", "value big");
    this.words = make("span");
    this.unit = make("span", "unit");  // shown where there is room
    this.small = make("div", "small", this.words, this.unit);
    this.canvas = make("canvas");
    this.canvas.setAttribute("aria-hidden", "true");
    this.track = bar();
    this.cell = make("div", `figure ${id}`, this.value, this.small, this.track, this.canvas);
    this.cell.setAttribute("role", "gridcell");
  }

  set(value, small, share, zero, unit = "") {
    put(this.value, value);
    put(this.words, small);
    put(this.unit, unit);
    fill(this.track, share);
    toggle(this.value, "zero", zero);
    toggle(this.small, "near-text", level(share) === 1);
    toggle(this.small, "full-text", level(share) === 2);
  }

  draw(entry, {width, points}) {
    const top = topOf(this.id, entry.history, entry.stat, points);
    draw(this.canvas, width, 30, entry.history, LINES[this.id], points, top, null);
  }
}

class Row {
  constructor(number) {
    this.key = "";
    this.figures = {};
    for (const id of ["cpu", "memory", "network", "disk"]) this.figures[id] = new Figure(id);
    this.title = make("b");
    this.pills = make("span");
    this.since = make("span");
    this.where = make("span", "where");
    this.image = make("span");
    this.name = make("div", "name", make("div", "title", this.title, this.pills), make("div", "small", this.since, this.where, this.image));
    this.project = make("div", "project cut");
    this.runtime = make("div", "runtime cut");
    this.pids = make("div", "value");
    this.pidsLimit = make("div", "small");
    this.pidsTrack = bar();
    const pids = make("div", "pids", this.pids, this.pidsLimit, this.pidsTrack);
    const {cpu, memory, network, disk} = this.figures;
    this.element = make("div", "row", this.name, this.project, this.runtime, cpu.cell, memory.cell, network.cell, disk.cell, pids);
    this.element.setAttribute("role", "row");
    this.element.id = `row-${number}`;
    for (const cell of [this.name, this.project, this.runtime, pids]) cell.setAttribute("role", "gridcell");
    this.element.row = this;
  }

  identity(entry) {
    const {stat} = entry, ended = entry.ended ?? entry.stopped;
    put(this.title, stat.name);
    this.title.title = stat.name;
    put(this.project, stat.project ?? "");
    put(this.runtime, stat.runtime);
    put(this.where, [stat.runtime, stat.project].filter(Boolean).join(" · ") + (entry.image ? " · " : ""));
    const since = entry.stopped ? sinceWords(entry.stopped) : "";
    put(this.since, since && `${since} · `);
    this.since.title = entry.stopped?.since == null ? "" : moment(entry.stopped.since);
    put(this.image, entry.image || (stat.id === stat.name ? "" : stat.id.slice(0, 12)));
    const pills = [];
    if (ended) pills.push([ended.exitCode == null ? ended.state ?? "ended" : `exited ${ended.exitCode}`, ended.exitCode ? "pill bad" : "pill"]);
    else if (stat.state !== "running") pills.push([stat.state, "pill"]);
    if (entry.late) pills.push(["late", "pill", "Not read within a second: its figures are those of an earlier round"]);
    if (entry.stopped?.oomKilled) pills.push(["OOM-killed", "pill bad"]);
    if (stat.oomKills) pills.push([stat.oomKills > 1 ? `OOM-killed ×${stat.oomKills}` : "OOM-killed", "pill bad"]);
    if (stat.ownerUid) pills.push([`uid ${stat.ownerUid}`, "pill"]);
    const wanted = JSON.stringify(pills);
    if (this.wanted !== wanted) {
      this.wanted = wanted;
      this.pills.replaceChildren(...pills.map(([text, name, title = ""]) => Object.assign(make("span", name, text), {title})));
    }
    toggle(this.element, "paused", stat.state === "paused");
    toggle(this.element, "ended", Boolean(ended));
  }

  // A group: its sums, and their share of the host.
  group(entry) {
    const {stat} = entry, {cpu, memory} = this.figures, {length} = entry.running;
    const stopped = entry.entries.filter((each) => each.stopped).length;
    put(this.title, stat.name);
    this.title.title = stat.name;
    put(this.project, "");
    put(this.runtime, "");
    put(this.where, "");
    put(this.image, `${length} container${length === 1 ? "" : "s"}${stopped ? `, ${stopped} stopped` : ""}`);
    put(this.since, "");
    this.wanted = null;
    this.pills.replaceChildren();
    const of = (part, whole, words) => (part == null || !whole ? "" : `${share(part / whole * 100)} of ${words}`);
    cpu.set(percent(stat.cpuPercent), of(stat.cpuPercent, machine.cores * 100, cores(machine.cores)), null, !stat.cpuPercent, !machine.cores ? "" : machine.cores === 1 ? " core" : " cores");
    cpu.cell.title = machine.cores ? `Of the host's ${coresOf(machine.cores)}` : "";
    memory.set(binary(stat.memoryUsage), of(stat.memoryUsage, machine.memory, binary(machine.memory)), null, !stat.memoryUsage);
  }

  container(entry) {
    const {stat} = entry, {cpu, memory} = this.figures;
    this.identity(entry);
    const quota = stat.cpuLimit == null ? null : stat.cpuLimitPercent;
    cpu.set(percent(stat.cpuPercent), quota == null ? "" : `${share(quota)} of ${cores(stat.cpuLimit)}`, quota, !stat.cpuPercent, quota == null ? "" : stat.cpuLimit === 1 ? " core" : " cores");
    cpu.cell.title = quota == null ? "" : `${share(quota)} of its quota of ${coresOf(stat.cpuLimit)}`;
    const limited = stat.memoryLimited && stat.memoryPercent != null;
    memory.set(binary(stat.memoryUsage), limited ? `${share(stat.memoryPercent)} of ${binary(stat.memoryLimit)}` : "", limited ? stat.memoryPercent : null, !stat.memoryUsage);
  }

  show(entry, spark) {
    const {stat} = entry, {cpu, memory, network, disk} = this.figures;
    toggle(this.element, "group", Boolean(entry.group));
    if (entry.group) {
      toggle(this.element, "paused", false);
      toggle(this.element, "ended", false);
      toggle(this.element, "folded", entry.folded);
      this.group(entry);
    } else {
      this.container(entry);
    }
    const why = entry.stopped ? "" : stat.networkAbsent == null ? null : /host's network/.test(stat.networkAbsent) ? "host network" : "not known";
    network.cell.title = stat.networkAbsent ?? "";
    if (why !== null) network.set(UNKNOWN, why, null, true);
    else network.set(`↓ ${rate(stat.networkRxRate)}`, `↑ ${rate(stat.networkTxRate)}`, null, !stat.networkRxRate);
    if (entry.stopped) disk.set(UNKNOWN, "", null, true);
    else disk.set(`R ${rate(stat.blockReadRate)}`, `W ${rate(stat.blockWriteRate)}`, null, !stat.blockReadRate);
    put(this.pids, stat.pids == null ? UNKNOWN : String(stat.pids));
    const used = stat.pids != null && stat.pidsLimit ? stat.pids / stat.pidsLimit * 100 : 0;
    put(this.pidsLimit, stat.pidsLimit ? `of ${stat.pidsLimit}` : "");
    fill(this.pidsTrack, used >= PIDS_SHOWN ? used : null);
    for (const figure of spark.all ? [cpu, memory, network, disk] : [cpu, memory]) figure.draw(entry, spark);
  }
}
