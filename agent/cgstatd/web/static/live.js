// The stream's events, the state of the connection, and the host above the table.

const HOST_MS = 5000;

const stream = new Stream({
  open: () => {},
  event: (name, data) => handlers[name]?.(data),
  lost,
  refused: (status, words) => {
    link("gone", status === 401 ? "token wanted" : "refused");
    askForToken(token || status === 403 ? words : "");
  },
});

const handlers = {
  hello(data) {
    if (version && version !== data.version) banner(`The agent is version ${data.version} now.`, "Load its page", () => location.reload());
    else back();
    version = data.version;
    link("live", "live");
    identities();
    host();
    refreshPast();
  },
  stat: (data) => store.stat(data),
  round(data) {
    store.endRound(Date.now(), data.timestamp, data.effectiveInterval * 1000, data.late);
    pace(data);
    offered();
    refresh();
    lines();
    arrived();
    drawCharts();
  },
  failed: (data) => happened(`no figures: ${data.error}`, data.timestamp, null, true),
  start(data) {
    store.identity(data);
    identitiesSoon();
    store.mark(data.id, {event: "start", timestamp: data.started ?? store.now});
    happened(`${data.name} started`, data.timestamp ?? Date.now(), data);
  },
  exit(data) {
    store.ended(data, Date.now());
    store.mark(data.id, {...data, event: "exit"});
    if (data.id === opened?.id) refreshPast();
    identitiesSoon();
    const code = data.exitCode == null ? "" : ` with ${data.exitCode}`;
    happened(`${data.name} ended${code}${data.oomKilled ? ", OOM-killed" : ""}`, data.timestamp, data, Boolean(data.oomKilled || data.exitCode));
  },
  oom(data) {
    store.mark(data.id, {...data, event: "oom"});
    const limit = data.memoryLimit == null ? "" : ` at ${binary(data.memoryLimit)}`;
    happened(`${data.name}: ${data.kills === 1 ? "a process was" : "processes were"} OOM-killed${limit}`, data.timestamp, data, true);
  },
  pressure: (data) => waits(data),
};

// The lines of the table's rows, from before this page was opened: once, where the agent has a history. An older one has
// none of all containers.
async function lines() {
  if (lines.asked || !past.seconds || !store.now) return;
  lines.asked = true;
  const since = store.now - POINTS * store.apart, minute = 60000;  // pages that are opened together share the answer
  const query = `step=1&since=${Math.max(0, Math.floor(since / minute) * minute)}&figures=${FIGURES.join(",")}`;
  const found = await ask(`api/containers/history?${query}`, token).catch(() => null);
  if (!found) return;
  store.fill(found);
  refresh(true);
}

// How far apart readings are, where that is not as asked for: they cost more than max_cpu allows.
function pace({interval, effectiveInterval}) {
  const slower = effectiveInterval > interval;
  $("pace").hidden = !slower;
  put($("pace"), slower ? `readings ${digits(effectiveInterval)}${THIN}s apart` : "");
}

function follow() {
  stream.start(`api/containers/stats/follow?interval=${$("interval").value}`, token);
  $("forget").hidden = !token;
}

function link(state, words) {
  $("link").dataset.state = state;
  put($("link-text"), words);
  document.body.classList.toggle("stale", state === "gone");
}

function lost(reason, wait) {
  if (!lostAt) {
    lostAt = Date.now();
    store.gap();
  }
  link("gone", "agent gone");
  const again = `Trying again ${wait < 1500 ? "now" : `every ${Math.round(wait / 1000)} s`}.`;
  const what = reason || "The agent has not answered";
  banner(`${what} since ${clock(lostAt)}; the figures are the last ones. ${again}`, "Try now", () => stream.retryNow());
}

function back() {
  if (!lostAt) return;
  const seconds = (Date.now() - lostAt) / 1000;
  lostAt = 0;
  banner(`The agent is back after ${duration(Math.max(1, Math.round(seconds)))}.`, "Dismiss", () => { $("banner").hidden = true; });
  const shown = $("banner-text").textContent;
  setTimeout(() => { if ($("banner-text").textContent === shown) $("banner").hidden = true; }, 4000);
}

function banner(words, action, on) {
  put($("banner-text"), words);
  put($("banner-button"), action);
  $("banner-button").onclick = on;
  $("banner").hidden = false;
}

// -- the host

async function host() {
  clearTimeout(host.timer);
  if (lostAt || document.hidden) return;
  host.timer = setTimeout(host, HOST_MS);
  const found = await ask("api/host", token).catch(() => null);
  $("totals").hidden = !found;
  if (!found) return;
  put($("hostname"), found.hostname ?? "");
  document.title = found.hostname ? `${found.hostname} · cgstatd` : "cgstatd";
  const small = (text) => make("small", "", text);
  Object.assign(machine, {cores: found.cores, memory: found.memoryTotal});
  const busy = found.cpuPercent == null ? UNKNOWN : (found.cpuPercent / 100).toFixed(2);
  $("total-cpu").replaceChildren(busy, small(found.cores ? ` of ${coresOf(found.cores)}` : ""));
  $("total-memory").replaceChildren(binary(found.memoryUsed), small(` of ${binary(found.memoryTotal)}`));
  put($("total-load"), found.load ? found.load[0].toFixed(2) : UNKNOWN);
  const {running, paused} = found.containers;
  $("total-containers").replaceChildren(String(running), small(` running${paused ? `, ${paused} paused` : ""}`));
  keeps(found.agent.historyKeepSeconds, found.agent.historyIntervalSeconds);
  $("meter-cpu").value = found.cpuPercentOfHost ?? 0;
  $("meter-memory").value = found.memoryTotal ? found.memoryUsed / found.memoryTotal * 100 : 0;
}
