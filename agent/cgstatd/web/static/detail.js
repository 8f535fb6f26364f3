// One container: everything the agent says of it, and for what it does not say the reason.

// How a container ended: "exited with 3", "SIGKILL (137), OOM-killed".
const SIGNALS = {1: "SIGHUP", 2: "SIGINT", 3: "SIGQUIT", 4: "SIGILL", 6: "SIGABRT", 7: "SIGBUS", 8: "SIGFPE", 9: "SIGKILL", 11: "SIGSEGV", 13: "SIGPIPE", 15: "SIGTERM"};

function ending(end) {
  if (end.exitCode == null) return `not known: ${end.exitCodeAbsent}`;
  const how = end.signal == null ? `exit code ${end.exitCode}` : `${SIGNALS[end.signal] ?? `signal ${end.signal}`} (${end.exitCode})`;
  return end.oomKilled ? `${how}, OOM-killed` : how;
}

class Detail {
  constructor(element, on) {
    this.element = element;
    this.name = make("h2");
    this.name.tabIndex = -1;
    this.subtitle = make("div", "small");
    const sources = make("button", "", "Sources"), close = make("button", "", "Close");
    for (const button of [sources, close]) button.type = "button";
    sources.title = "Which file each value comes from";
    sources.setAttribute("aria-pressed", "false");
    sources.addEventListener("click", () => {
      sources.setAttribute("aria-pressed", String(element.classList.toggle("sources")));
    });
    close.addEventListener("click", on.close);
    this.error = make("p", "error");
    this.charts = new Charts({range: on.range});
    this.limits = new Limits();
    this.last = new Facts("Last words", "facts");
    this.last.element.classList.add("last");
    this.facts = new Facts("", "facts");
    this.groups = {cpu: new Facts("CPU time"), memory: new Facts("Memory"), memoryEvents: new Facts("Memory events since it started"), pids: new Facts("Processes"), log: new Facts("Log")};
    this.pressure = new Cells("Pressure: time stalled", ["", "10 s", "1 min", "5 min", "total"]);
    this.processes = new Cells("Processes, the largest by CPU", ["", "CPU", "memory", "pid", "inside", "threads", "state", "age"]);
    this.network = new Cells("Network, since it was made", ["", "in", "packets", "errors, drops", "out", "packets", "errors, drops"]);
    this.block = new Cells("Disk, since it started", ["", "read", "reads", "written", "writes"]);
    this.stat = new Facts("");
    this.labels = new Facts("", "facts");
    const {cpu, memory, memoryEvents, pids, log} = this.groups;
    const fold = (title, facts) => make("details", "", make("summary", "", title), facts.element);
    this.statFold = fold("memory.stat", this.stat);
    this.labelsFold = fold("Labels", this.labels);
    element.append(
      make("div", "top", make("div", "", this.name, this.subtitle), sources, close), this.error, this.last.element, this.charts.element,
      this.limits.element, make("h3", "", "Identity"), this.facts.element, cpu.element, memory.element, memoryEvents.element,
      this.pressure.element, pids.element, this.processes.element, this.network.element, this.block.element, log.element, this.statFold, this.labelsFold,
    );
  }

  // At once, from what the table knows; the rest comes with the answer.
  begin(name, id) {
    put(this.name, name);
    put(this.subtitle, id);
    this.fail("");
    this.charts.leave();
    this.show({container: {id, name}, cpu: {}, memory: {}, memoryStat: {}, memoryEvents: {}, pids: {}, log: {}, pressure: {}, limits: {}});
    this.processesOf(null);
    this.element.hidden = false;
    this.element.scrollTop = 0;
  }

  fail(words, calm = false) {
    put(this.error, words);
    toggle(this.error, "calm", calm);
    this.error.hidden = !words;
  }

  // What is gone is known by its history alone.
  gone({id, name, runtime, ownerUid, last}) {
    put(this.name, name);
    put(this.subtitle, ["gone", runtime, last?.image].filter(Boolean).join(" · "));
    this.identity({container: {id, ownerUid, project: last?.project}});
    this.fail("This container is gone. What is left of it is its history.", true);
  }

  show(detail) {
    const {container} = detail;
    put(this.name, container.name);
    put(this.subtitle, [container.state, container.runtime, container.image].filter(Boolean).join(" · "));
    this.identity(detail);
    for (const [name, facts] of [...Object.entries(this.groups), ["memoryStat", this.stat]]) {
      facts.begin();
      for (const [key, value] of Object.entries(detail[name])) facts.value(label(key), value);
      facts.end();
    }
    this.statFold.hidden = this.stat.known.size === 0;
    this.limits.set(detail);
    this.pressureOf(detail.pressure);
    this.networkOf(detail.network);
    this.blockOf(detail.block);
    this.words(detail.lastWords);
  }

  identity({container, cgroup, started}) {
    const facts = this.facts;
    facts.begin();
    const set = (term, value, text = String(value)) => value != null && value !== "" && facts.set(term, text);
    set("id", container.id);
    set("image id", container.imageId);
    set("workload", container.workload);
    set("project", container.project);
    set("pod", container.pod);
    set("owner", container.ownerUid || null, `uid ${container.ownerUid}`);
    set("network", container.networkMode);
    set("created", container.created, moment(container.created));
    if (started) facts.value("started", started);
    set("restarts", container.restarts, `${container.restarts}${container.flapping ? ", flapping" : ""}`);
    const health = container.health;
    if (health && health.status) {
      const streak = health.failingStreak ? `, ${health.failingStreak} failed in a row` : "";
      set("health", health.status, `${health.status}${streak}${health.checked == null ? "" : `, ${moment(health.checked)}`}`);
    } else if (health) {
      facts.why("health", health.absent);
    }
    set("exit code", container.exitCode);
    const stopped = container.state && container.state !== "running" && container.state !== "paused";
    if (stopped) set("stopped", container.finished, moment(container.finished));
    if (stopped) set("OOM-killed", container.oomKilled, container.oomKilled ? "yes" : "no");
    const end = stopped ? null : container.lastTerminated;
    if (end) set("last end", `${ending(end)}${end.finished == null ? "" : `, ${moment(end.finished)}`}`);
    set("cgroup", cgroup);
    facts.end();
    this.labels.begin();
    for (const [key, value] of Object.entries(container.labels ?? {})) this.labels.set(key, value);
    this.labels.end();
    this.labelsFold.hidden = this.labels.known.size === 0;
  }

  pressureOf(pressure) {
    const rows = [], absent = new Map();
    for (const resource of ["cpu", "memory", "io"]) {
      for (const kind of ["Some", "Full"]) {
        const values = ["Avg10", "Avg60", "Avg300", "TotalUsec"].map((each) => pressure[resource + kind + each]);
        if (!values[0]) continue;
        const name = `${resource === "cpu" ? "CPU" : resource === "io" ? "I/O" : resource}, ${kind === "Some" ? "some tasks" : "all tasks"}`;
        if (values[0].absent === undefined) rows.push([name, ...values.map((value) => worded(value.value, value.unit))]);
        else absent.set(values[0].absent, [...(absent.get(values[0].absent) ?? []), name]);
      }
    }
    this.pressure.set(rows, [...absent].map(([reason, names]) => `${names.join("; ")}: ${reason}`).join("\n"));
  }

  processesOf(found) {
    const rows = (found?.processes ?? []).map((each) => [
      each.name, each.cpuPercent == null ? UNKNOWN : percent(each.cpuPercent), binary(each.memory), String(each.pid),
      count(each.pidInside), count(each.threads), each.state, each.ageSeconds == null ? UNKNOWN : duration(each.ageSeconds),
    ]);
    const notes = found ? [
      rows.length < found.count && `${found.count} processes in all`, found.incomplete,
      found.zombies && `${found.zombies} zombies`, found.uninterruptible && `${found.uninterruptible} in disk sleep`,
    ] : [];
    this.processes.set(rows, rows.length ? notes.filter(Boolean).join("; ") : "");
  }

  networkOf(network) {
    const troubles = (errors, dropped) => `${count(errors)}, ${count(dropped)}`;
    const rows = (network?.interfaces ?? []).map((each) => [
      each.name, decimal(each.rxBytes), count(each.rxPackets), troubles(each.rxErrors, each.rxDropped),
      decimal(each.txBytes), count(each.txPackets), troubles(each.txErrors, each.txDropped),
    ]);
    const shared = network?.sharedWith?.length ? `the same network as ${network.sharedWith.map((each) => each.name).join(", ")}` : "";
    const none = network && !rows.length && !network.rxBytes.absent ? "it has no interface but lo" : "";
    this.network.set(rows, [network?.rxBytes.absent, none, shared].filter(Boolean).join("; "));
  }

  blockOf(block) {
    const rows = (block?.devices ?? []).map((each) => [
      `${each.name ?? each.device}${each.stacked ? " (stacked: counted below too)" : ""}`,
      decimal(each.readBytes), count(each.reads), decimal(each.writeBytes), count(each.writes),
    ]);
    const none = block && !rows.length && !block.readBytes.absent ? "it has read and written nothing" : "";
    this.block.set(rows, block?.readBytes.absent ?? none);
  }

  words(words) {
    const facts = this.last;
    facts.begin();
    if (words) {
      facts.set("ended", moment(words.timestamp));
      facts.set("how", ending(words));
      if (words.last) {
        facts.set("memory", `${binary(words.last.memoryUsage)}, at most ${binary(words.last.memoryPeak)}`);
        facts.set("CPU", percent(words.last.cpuPercent));
        facts.set("network", `↓ ${decimal(words.last.networkRx)} ↑ ${decimal(words.last.networkTx)}`);
        facts.set("disk", `R ${decimal(words.last.blockRead)} W ${decimal(words.last.blockWrite)}`);
      }
    }
    facts.end();
  }
}
