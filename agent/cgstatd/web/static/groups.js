// Containers by project or by pod: a line for each group with its sums, and its containers below.

const GROUPS = {
  project: {title: "project", none: "Without a project", of: (entry) => entry.stat.project},
  pod: {title: "pod", none: "Without a pod", of: (entry) => entry.pod},
};
const SUMS = ["cpuPercent", "memoryUsage", "blockReadRate", "blockWriteRate", "pids"];
const RATES = ["networkRxRate", "networkTxRate"];

// What several containers share (a pod has one network) counts once.
function eachNetworkOnce(entries) {
  const seen = new Set();
  return entries.filter(({stat}) => {
    const namespace = stat.networkNamespace;
    if (namespace == null) return true;
    const first = !seen.has(namespace);
    seen.add(namespace);
    return first;
  });
}

function total(entries, name) {
  return entries.reduce((all, {stat}) => sum(all, stat[name]), null);
}

class Group {
  constructor(by, name, entries, folded) {
    this.group = true;
    this.key = `group\n${by}\n${name ?? ""}`;
    this.entries = entries;
    this.folded = folded;
    this.running = entries.filter((entry) => !entry.ended && !entry.stopped);
    this.networks = eachNetworkOnce(this.running);
    this.stat = {name: name ?? GROUPS[by].none, project: name, runtime: null};
    for (const each of SUMS) this.stat[each] = total(this.running, each);
    for (const each of RATES) this.stat[each] = total(this.networks, each);
    this.unnamed = name === null;
  }

  // The sums of the last rounds; made for those groups alone that are in view.
  get history() {
    this.sums ??= new SumHistory(this);
    return this.sums;
  }
}

class SumHistory {
  constructor({running, networks}) {
    this.at = 0;
    for (const name of SERIES) {
      const of = name === "rx" || name === "tx" ? networks : running;
      const sums = this[name] = new Float32Array(POINTS).fill(NaN);
      for (const {history} of of) {
        const series = history[name];
        for (let n = 0; n < POINTS; n += 1) {
          const value = series[(history.at + n) % POINTS];
          if (!Number.isNaN(value)) sums[n] = Number.isNaN(sums[n]) ? value : sums[n] + value;
        }
      }
    }
  }
}

// The lines to show: groups in the order of their sums, each followed by its containers. What is in no group comes last.
function grouped(view, by, folded, sort) {
  const {of} = GROUPS[by], members = new Map();
  for (const entry of view) {
    const name = of(entry) || null;
    if (members.has(name)) members.get(name).push(entry);
    else members.set(name, [entry]);
  }
  const groups = [...members].map(([name, entries]) => new Group(by, name, entries, false));
  for (const group of groups) group.folded = folded.has(group.key);
  ordered(groups, sort).sort((a, b) => a.unnamed - b.unnamed);
  return groups.flatMap((group) => (group.folded ? [group] : [group, ...group.entries]));
}
