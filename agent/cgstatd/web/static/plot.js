// One chart against time. Nothing is measured here: sizes are given.

const HATCH = 7;
const MARKS = {
  start: {glyph: "▲", color: "ok", dash: []},
  exit: {glyph: "■", color: "dim", dash: [2, 2]},
  oom: {glyph: "✕", color: "danger", dash: []},
  pressure: {glyph: "◆", color: "warn", dash: [1, 3]},
  health: {glyph: "✚", color: "warn", dash: [1, 3]},
};

// Points next to each other that have a value.
function runs(values) {
  const found = [];
  let run = null;
  values.forEach((value, n) => {
    if (Number.isNaN(value)) run = null;
    else if (run) run.push(n);
    else found.push(run = [n]);
  });
  return found;
}

function vertical(context, x, height, color, dash) {
  context.strokeStyle = color;
  context.setLineDash(dash);
  context.beginPath();
  context.moveTo(x, 0);
  context.lineTo(x, height);
  context.stroke();
  context.setLineDash([]);
}

function hatched(context, left, right, height) {
  context.save();
  context.beginPath();
  context.rect(left, 0, Math.max(1, right - left), height);
  context.clip();
  context.strokeStyle = palette.gap;
  context.beginPath();
  for (let x = Math.floor((left - height) / HATCH) * HATCH; x < right; x += HATCH) {
    context.moveTo(x, height);
    context.lineTo(x + height, 0);
  }
  context.stroke();
  context.restore();
}

// look: {lines: [{name, color, fill}], top, limit}; at: the point that the reader looks at, -1: none.
function plot(canvas, width, height, track, {lines, top, limit}, at) {
  const context = fit(canvas, width, height), span = Math.max(1, track.until - track.from);
  const x = (time) => (time - track.from) / span * width;
  const y = (value) => height - 1 - Math.min(1, value / top) * (height - 2.5);
  context.lineWidth = 1;
  for (const {since, until} of track.gaps) hatched(context, x(since), x(until), height);
  context.fillStyle = palette.line;
  context.fillRect(0, height - 1, width, 1);
  if (limit != null && limit <= top) {
    context.globalAlpha = 0.55;
    context.strokeStyle = palette.danger;
    context.setLineDash([3, 3]);
    context.beginPath();
    context.moveTo(0, y(limit));
    context.lineTo(width, y(limit));
    context.stroke();
    context.setLineDash([]);
    context.globalAlpha = 1;
  }
  for (const {name, color, fill} of lines) {
    context.strokeStyle = context.fillStyle = palette[color];
    context.lineJoin = "round";
    for (const run of runs(track.mean[name])) stroke(context, run, track, name, fill, x, y, height);
  }
  for (const {event, timestamp} of track.marks) {
    if (MARKS[event]) vertical(context, Math.round(x(timestamp)) + 0.5, height, palette[MARKS[event].color], MARKS[event].dash);
  }
  if (at < 0) return;
  vertical(context, x(track.times[at]), height, palette.text, []);
  for (const {name, color} of lines) {
    const value = track.mean[name][at];
    if (Number.isNaN(value)) continue;
    context.fillStyle = palette[color];
    context.beginPath();
    context.arc(x(track.times[at]), y(value), 3, 0, 2 * Math.PI);
    context.fill();
  }
}

// The mean as a line, what is below it faintly, and between it and the largest of each step a band.
function stroke(context, run, track, name, fill, x, y, height) {
  const mean = track.mean[name], most = track.most[name], {times} = track;
  const first = x(times[run[0]]), last = Math.max(first + 1.5, x(times[run.at(-1)]));
  const path = (values, points) => points.forEach((n) => context.lineTo(x(times[n]), y(values[n])));
  context.globalAlpha = 0.3;
  if (run.some((n) => most[n] > mean[n])) {
    context.beginPath();
    path(mean, run);
    path(most, run.toReversed());
    context.fill();
  }
  context.globalAlpha = 0.13;
  if (fill) {
    context.beginPath();
    context.lineTo(first, height);
    path(mean, run);
    context.lineTo(last, y(mean[run.at(-1)]));
    context.lineTo(last, height);
    context.fill();
  }
  context.globalAlpha = 1;
  context.lineWidth = 1.25;
  context.beginPath();
  path(mean, run);
  context.lineTo(last, y(mean[run.at(-1)]));
  context.stroke();
  context.lineWidth = 1;
}
