// The detail beside the table, and the list of what happened below it.

const DETAIL_MS = 2000;
const MAX_EVENTS = 100;
const PROCESSES = 10;

const detail = new Detail($("detail"), {close: () => shutByHand()});

function drawCharts() {
  const entry = opened && store.containers.get(opened.key);
  detail.charts.element.hidden = !entry;
  if (entry) detail.charts.show(entry);
}

// what: {key, id, name, runtime}
function show(what, push = !opened) {  // from one to the next is no step of its own
  awaited = "";
  opened = what;
  detail.begin(what.name, what.id);
  refreshDetail();
  drawCharts();
  writeAddress(push);
}

function open(entry, focus, push) {
  const {stat} = entry;
  if (opened?.key !== entry.key) show({key: entry.key, id: stat.id, name: stat.name, runtime: stat.runtime}, push);
  if (focus) detail.name.focus();
}

// The container that the address names: in the table, or, if a round has shown that it is not there, what is still known.
function arrived() {
  if (!awaited) return;
  const wanted = awaited;
  awaited = "";
  const named = [...store.containers.values()].find(({stat}) => [stat.id, shortened(stat.id), stat.name].includes(wanted));
  if (named) {
    open(named, false, false);
    table.reveal(named.key);
  } else {
    show({key: "", id: wanted, name: wanted, runtime: ""}, false);
  }
}

async function refreshDetail() {
  clearTimeout(refreshDetail.timer);
  refreshDetail.abort?.abort();
  const wanted = opened;
  if (!wanted) return;
  const abort = refreshDetail.abort = new AbortController();
  try {
    const path = `api/containers/${encodeURIComponent(wanted.id)}`;
    const found = await ask(`${path}/detail`, token, abort.signal);
    if (opened !== wanted) return;
    detail.fail("");
    detail.show(found);
    const processes = found.cgroup && await ask(`${path}/processes?limit=${PROCESSES}`, token, abort.signal);
    if (opened !== wanted) return;
    detail.processesOf(processes);
  } catch (error) {
    if (opened !== wanted || error.name === "AbortError") return;
    detail.fail(error instanceof Refused ? error.message : "The agent does not answer.");
  }
  if (!document.hidden) refreshDetail.timer = setTimeout(refreshDetail, DETAIL_MS);
}

function shut() {
  opened = null;
  refreshDetail();
  $("detail").hidden = true;
}

function shutByHand() {
  shut();
  writeAddress(true);
  $("grid").focus();
}

// -- what happened

let events = 0;

function happened(words, ms, of, bad = false) {
  events += 1;
  put($("events-count"), String(events));
  $("events-button").hidden = false;  // without events there is nothing to unfold
  put($("last-event"), `${clock(ms)}  ${words}`);
  $("last-event").classList.toggle("bad", bad);
  const time = make("time", "", clock(ms));
  const text = make(of ? "button" : "span", bad ? "bad" : "", words);
  if (of) {
    text.type = "button";
    text.addEventListener("click", () => {
      show({key: of.last || of.ownerUid !== undefined ? keyOf(of.last ?? of) : "", id: of.id, name: of.name, runtime: of.runtime});
      detail.name.focus();
    });
  }
  $("events-list").prepend(make("li", "", time, text));
  while ($("events-list").children.length > MAX_EVENTS) $("events-list").lastChild.remove();
}

$("events-button").addEventListener("click", () => {
  $("events").hidden = !$("events").hidden;
  $("events-button").setAttribute("aria-expanded", String(!$("events").hidden));
});
