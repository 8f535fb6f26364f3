// What the charts draw of one container: points in time, from the agent's history, from this page's rounds, or both.
// Times are the agent's, in milliseconds. NaN: not known.

const FIGURES = ["cpuPercent", "memoryUsage", "networkRxRate", "networkTxRate", "blockReadRate", "blockWriteRate"];  // of SERIES
const ROUND_MS = 15000;  // the history notices what happened at its next round
const AWAY = "no figures came to this page";
const series = () => Object.fromEntries(SERIES.map((name) => [name, []]));

class Track {
  constructor(from, until, step) {
    Object.assign(this, {from, until, step});
    this.times = [];
    this.mean = series();
    this.most = series();  // the largest within a step
    this.gaps = [];  // {since, until, reason}
    this.marks = [];  // {event, timestamp, kills, exitCode, oomKilled}
  }

  add(time, mean, most = mean) {
    this.times.push(time);
    SERIES.forEach((name, n) => {
      this.mean[name].push(mean[n] ?? NaN);
      this.most[name].push(most[n] ?? NaN);
    });
  }

  // The number of the point next to a time.
  nearest(time) {
    const after = this.times.findIndex((each) => each >= time);
    if (after <= 0) return after < 0 ? this.times.length - 1 : 0;
    return this.times[after] - time < time - this.times[after - 1] ? after : after - 1;
  }

  peak(names, floor) {
    let found = floor;
    for (const name of names) for (const value of this.most[name]) if (value > found) found = value;
    return found;
  }

  reasonAt(time) {
    return this.gaps.find((gap) => gap.since < time && time <= gap.until)?.reason ?? "";
  }

  get empty() {
    return !this.marks.length && !SERIES.some((name) => this.mean[name].some((value) => !Number.isNaN(value)));
  }
}

// This page's rounds of a container, the oldest first, from the first that had it on: [time, values].
function roundsOf({history}) {
  const found = [];
  for (let n = 0; n < POINTS; n += 1) {
    const values = SERIES.map((name) => history[name][(history.at + n) % POINTS]);
    const time = store.times[(store.timesAt + n) % POINTS];  // NaN: from before this page was opened
    if (!Number.isNaN(time) && (found.length || !values.every(Number.isNaN))) found.push([time, values]);
  }
  return found;
}

// The rounds alone, as far back as the page goes.
function liveTrack(entry) {
  const until = store.now, track = new Track(until - (POINTS - 1) * store.apart, until, store.apart);
  let since = null, last = null;
  for (const [time, values] of roundsOf(entry)) {
    const known = !values.every(Number.isNaN);
    if (!known) since ??= last;
    else if (since !== null) {
      track.gaps.push({since, until: time, reason: AWAY});
      since = null;
    }
    track.add(time, values);
    last = time;
  }
  if (since !== null && since < until) track.gaps.push({since, until, reason: entry.ended ? "it has ended" : AWAY});
  track.marks = store.marksOf(entry.stat.id).filter((mark) => mark.timestamp >= track.from);
  return track;
}

// The history's steps, and behind them the mean of the rounds that came since. answer, entry: null where there is none.
function pastTrack(answer, entry, id, seconds) {
  const last = answer?.timestamps.at(-1) ?? 0, until = Math.max(store.now, last);
  const step = answer ? answer.step * 1000 : 0, track = new Track(until - seconds * 1000, until, step);
  if (answer) {
    const of = (what, n) => FIGURES.map((name) => answer.figures[name]?.[what][n]);
    answer.timestamps.forEach((time, n) => { if (time >= track.from) track.add(time, of("mean", n), of("max", n)); });
    for (const {since, until: to, reason} of answer.gaps) {
      if (to >= track.from && since < last) track.gaps.push({since: Math.max(track.from, since - step), until: to, reason});
    }
    track.marks = answer.marks.filter((mark) => mark.timestamp >= track.from);
  }
  if (entry) newest(track, entry);
  for (const mark of store.marksOf(id)) {
    const same = (each) => each.event === mark.event && Math.abs(each.timestamp - mark.timestamp) < ROUND_MS;
    if (mark.timestamp >= track.from && !track.marks.some(same)) track.marks.push(mark);
  }
  return track;
}

// Rounds that the history does not have yet, as steps of the same width.
function newest(track, entry) {
  const known = track.times.findLast((_, n) => SERIES.some((name) => !Number.isNaN(track.mean[name][n]))) ?? 0;
  const width = track.step || 10000, buckets = new Map();
  for (const [time, values] of roundsOf(entry)) {
    if (!(time > known) || values.every(Number.isNaN)) continue;
    const bucket = Math.floor((time - known) / width);
    buckets.set(bucket, [...(buckets.get(bucket) ?? []), [time, values]]);
  }
  while (track.times.at(-1) > known && buckets.size) {  // steps that are still to come
    track.times.pop();
    for (const name of SERIES) track.mean[name].pop(), track.most[name].pop();
  }
  for (const rounds of buckets.values()) {
    const columns = SERIES.map((_, n) => rounds.map(([, values]) => values[n]).filter((value) => !Number.isNaN(value)));
    const mean = columns.map((all) => (all.length ? all.reduce((a, b) => a + b) / all.length : NaN));
    const [time] = rounds.at(-1);
    if (time - (track.times.at(-1) ?? time) > 3 * width) track.add(time - width, []);
    track.add(time, mean, columns.map((all) => (all.length ? Math.max(...all) : NaN)));
  }
}
