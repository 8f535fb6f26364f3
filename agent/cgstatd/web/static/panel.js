// The detail beside the table, and the list of what happened below it.

const DETAIL_MS = 2000;
const MAX_EVENTS = 100;

const detail = new Detail($("detail"), {close: () => shut()});

function drawCharts() {
  const entry = opened && store.containers.get(opened.key);
  detail.charts.element.hidden = !entry;
  if (entry) detail.charts.show(entry);
}

function open(entry, focus) {
  const {stat} = entry;
  if (opened?.key !== entry.key) {
    opened = {key: entry.key, id: stat.id, name: stat.name, runtime: stat.runtime};
    detail.begin(stat.name, stat.id);
    refreshDetail();
  }
  drawCharts();
  if (focus) detail.name.focus();
}

async function refreshDetail() {
  clearTimeout(refreshDetail.timer);
  refreshDetail.abort?.abort();
  const wanted = opened;
  if (!wanted) return;
  const abort = refreshDetail.abort = new AbortController();
  try {
    const found = await ask(`api/containers/${encodeURIComponent(wanted.id)}/detail`, token, abort.signal);
    if (opened !== wanted) return;
    detail.fail("");
    detail.show(found);
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
  $("grid").focus();
}

// -- what happened

let events = 0;

function happened(words, ms, of, bad = false) {
  events += 1;
  put($("events-count"), String(events));
  put($("last-event"), `${clock(ms)}  ${words}`);
  $("last-event").classList.toggle("bad", bad);
  const time = make("time", "", clock(ms));
  const text = make(of ? "button" : "span", bad ? "bad" : "", words);
  if (of) {
    text.type = "button";
    text.addEventListener("click", () => {
      opened = {key: of.last || of.ownerUid !== undefined ? keyOf(of.last ?? of) : "", id: of.id, name: of.name, runtime: of.runtime};
      detail.begin(of.name, of.id);
      refreshDetail();
      drawCharts();
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
