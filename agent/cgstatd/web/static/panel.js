// The detail beside the table, and the list of what happened below it.

const DETAIL_MS = 2000;
const MAX_EVENTS = 100;
const PROCESSES = 10;

const GONE_MS = 10000;

const detail = new Detail($("detail"), {close: () => shutByHand(), range: (id) => chooseRange(id)});

// what: {key, id, name, runtime}
function show(what, push = !opened) {  // from one to the next is no step of its own
  awaited = "";
  opened = what;
  detail.begin(what.name, what.id);
  refreshDetail();
  refreshPast();
  drawCharts();
  writeAddress(push);
}

function open(entry, focus, push) {
  const {stat} = entry;
  if (opened?.key !== entry.key) show({key: entry.key, id: stat.id, name: stat.name, runtime: stat.runtime}, push);
  if (focus) detail.name.focus();
}

// The container that the address names: in the table, or, if a round has shown that it is not there, what is still known.
// Then a later round may have it: it was late, or it starts only now.
function arrived() {
  const wanted = awaited || (opened?.key === "" && opened.id);
  awaited = "";
  if (!wanted) return;
  const named = [...store.containers.values(), ...(filter.show ? store.stopped : [])].find(({stat}) => [stat.id, shortened(stat.id), stat.name].includes(wanted));
  if (named) {
    open(named, false, false);
    table.reveal(named.key);
  } else if (opened?.id !== wanted) {
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
    wanted.missing = "";
    detail.fail("");
    detail.show(found);
    const processes = found.cgroup && await ask(`${path}/processes?limit=${PROCESSES}`, token, abort.signal);
    if (opened !== wanted) return;
    detail.processesOf(processes);
  } catch (error) {
    if (opened !== wanted || error.name === "AbortError") return;
    wanted.missing = error.status === 404 ? error.message : "";
    if (wanted.missing) explain();
    else detail.fail(error instanceof Refused ? error.message : "The agent does not answer.");
  }
  if (!document.hidden) refreshDetail.timer = setTimeout(refreshDetail, wanted.missing ? GONE_MS : DETAIL_MS);
}

// The agent does not know the container, but its history may.
function explain() {
  const answer = past.of === opened ? past.answer : null;
  if (!opened?.missing) return;
  if (answer) detail.gone(answer);
  else detail.fail(opened.missing);
}

function shut() {
  opened = null;
  refreshDetail();
  refreshPast();
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
