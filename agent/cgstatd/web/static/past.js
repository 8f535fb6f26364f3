// The history of the chosen container: which range of it, and the agent's answer.

const RANGES = [{id: "15m", seconds: 900}, {id: "1h", seconds: 3600}];
const PAST_POINTS = 180;
const PAST_MS = [10000, 60000];  // it is asked for again after a step, but neither sooner nor later
const OFF = "The agent keeps no history (history = 0 in its configuration): the lines begin when this page was opened.";

const past = {
  seconds: null,  // how far it goes back; 0: it is off; null: not known yet
  interval: 10,
  range: "",  // as chosen; "": what fits
  of: null,  // what the answer is of: the same object as ``opened``
  answer: null,
  trouble: "",
};

function spanWords(seconds) {
  if (seconds % 86400 < 60 && seconds >= 172800) return `${Math.round(seconds / 86400)}${THIN}d`;
  if (seconds >= 3600) return `${digits(seconds / 3600)}${THIN}h`;
  return seconds >= 60 ? `${digits(seconds / 60)}${THIN}min` : `${digits(seconds)}${THIN}s`;
}

function offeredRanges() {
  const live = {id: "live", title: "Live"}, there = opened && store.containers.has(opened.key);
  if (past.seconds === 0) return [live];
  const all = past.seconds ?? 3600, shorter = RANGES.filter(({seconds}) => seconds < all);
  const longest = {id: RANGES.find(({seconds}) => seconds === all)?.id ?? "all", seconds: all};
  return [...(there ? [live] : []), ...[...shorter, longest].map((each) => ({...each, title: spanWords(each.seconds)}))];
}

// What the disk has grows all the time: whole hours and days, of which a tenth may be missing.
function whole(seconds) {
  const unit = seconds < 172800 ? 3600 : 86400;
  return seconds <= 3600 ? seconds : Math.max(1, Math.ceil(seconds / unit - 0.1)) * unit;
}

// The range that is shown: as chosen, as far as there is one. Else of a container that does not run the last hour, or, if
// that has nothing of it, everything.
function rangeNow(running) {
  const offered = offeredRanges(), wanted = past.range || (running ? RANGES[0].id : opened?.far ? "all" : RANGES[1].id);
  return offered.find(({id}) => id === wanted) ?? offered.at(-1);
}

function isRunning() {
  const entry = opened && store.containers.get(opened.key);
  return Boolean(entry && !entry.ended);
}

function drawCharts() {
  const entry = opened && store.containers.get(opened.key), {charts} = detail;
  const range = rangeNow(isRunning()), answer = past.of === opened ? past.answer : null;
  let track = null;
  if (opened && range.id === "live") track = entry ? liveTrack(entry) : null;
  else if (opened && (entry || answer)) track = pastTrack(answer, entry, opened.id, range.seconds);
  charts.element.hidden = !track || (!entry && track.empty && !past.range);
  if (charts.element.hidden) return;
  charts.choices(offeredRanges(), range.id, past.seconds === 0 ? OFF : past.of === opened ? past.trouble : "");
  charts.show(track, entry && !entry.ended ? entry.stat : null);
}

function chooseRange(id) {
  past.range = id;
  drawCharts();
  refreshPast();
  writeAddress(true);
}

// What /api/host says: whether there is a history.
function keeps(seconds, interval) {
  const known = past.seconds !== null;
  past.seconds = whole(seconds);
  past.interval = interval ?? past.interval;
  if (known) return;
  refreshPast();
  lines();
}

async function refreshPast() {
  clearTimeout(refreshPast.timer);
  refreshPast.abort?.abort();
  const wanted = opened, range = rangeNow(isRunning());
  if (!wanted || !past.seconds || range.id === "live") return;
  const abort = refreshPast.abort = new AbortController();
  const step = Math.max(1, Math.ceil(range.seconds / PAST_POINTS / past.interval)) * past.interval;
  const since = store.now ? `&since=${Math.round(store.now - range.seconds * 1000)}` : "";
  let answer = past.of === wanted ? past.answer : null, trouble = "";
  try {
    answer = await ask(`api/containers/${encodeURIComponent(wanted.id)}/history?step=${step}${since}`, token, abort.signal);
  } catch (error) {
    if (error.name === "AbortError") return;
    if (error.status === 404) answer = null;
    else if (error instanceof Refused) trouble = `Its history: ${error.message}`;
  }
  if (opened !== wanted) return;
  if (!past.range && !isRunning() && !wanted.far && !answer?.first && !answer?.marks.length && !trouble) {
    wanted.far = true;
    if (rangeNow(false).id !== range.id) {
      refreshPast();
      return;
    }
  }
  Object.assign(past, {of: wanted, answer, trouble});
  explain();
  drawCharts();
  if (!document.hidden) refreshPast.timer = setTimeout(refreshPast, Math.min(PAST_MS[1], Math.max(PAST_MS[0], step * 1000)));
}
