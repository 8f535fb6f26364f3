// Sparklines. Nothing is measured here: sizes are given, so that drawing never makes the browser lay out the page.

const palette = {};

function readPalette() {
  const style = getComputedStyle(document.documentElement);
  for (const name of ["cpu", "memory", "network", "network2", "disk", "disk2", "line", "danger", "warn", "dim", "ok", "text", "gap"]) {
    palette[name] = style.getPropertyValue(`--${name}`).trim();
  }
}

// The largest value of the last ``count`` points of several series; at least ``floor``.
function peak(history, names, count, floor) {
  let found = floor;
  for (const name of names) {
    const series = history[name];
    for (let n = 1; n <= count; n += 1) {
      const value = series[(history.at - n + POINTS) % POINTS];
      if (value > found) found = value;
    }
  }
  return found;
}

function fit(canvas, width, height) {
  const ratio = Math.min(window.devicePixelRatio || 1, 3);
  const w = Math.round(width * ratio), h = Math.round(height * ratio);
  if (canvas.width !== w || canvas.height !== h) {
    canvas.width = w;
    canvas.height = h;
  }
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return context;
}

// lines: [{name, color, fill}], the newest value at the right; gaps stay gaps.
function draw(canvas, width, height, history, lines, count, top, limit) {
  const context = fit(canvas, width, height);
  const step = width / (count - 1), room = height - 2.5;
  const yOf = (value) => height - 1 - Math.min(1, value / top) * room;
  context.fillStyle = palette.line;
  context.fillRect(0, height - 1, width, 1);
  if (limit != null && limit <= top) {
    context.strokeStyle = palette.danger;
    context.globalAlpha = 0.55;
    context.setLineDash([3, 3]);
    context.lineWidth = 1;
    context.beginPath();
    context.moveTo(0, yOf(limit));
    context.lineTo(width, yOf(limit));
    context.stroke();
    context.setLineDash([]);
    context.globalAlpha = 1;
  }
  for (const {name, color, fill} of lines) {
    const series = history[name];
    context.strokeStyle = context.fillStyle = palette[color];
    context.lineWidth = 1.25;
    context.lineJoin = "round";
    let first = -1, last = 0, lastY = 0;
    context.beginPath();
    const close = () => {
      if (first < 0) return;
      if (last === first) context.lineTo(last + 1.5, lastY);
      context.stroke();
      if (fill) {
        context.lineTo(Math.max(last, first + 1.5), height);
        context.lineTo(first, height);
        context.globalAlpha = 0.13;
        context.fill();
        context.globalAlpha = 1;
      }
      context.beginPath();
      first = -1;
    };
    for (let n = count; n >= 1; n -= 1) {
      const value = series[(history.at - n + POINTS) % POINTS];
      if (Number.isNaN(value)) {
        close();
        continue;
      }
      const x = (count - n) * step, y = yOf(value);
      if (first < 0) {
        first = x;
        context.moveTo(x, y);
      } else {
        context.lineTo(x, y);
      }
      last = x;
      lastY = y;
    }
    close();
  }
}

// What each figure's line looks like, in the table and in the detail.
const LINES = {
  cpu: [{name: "cpu", color: "cpu", fill: true}],
  memory: [{name: "memory", color: "memory", fill: true}],
  network: [{name: "tx", color: "network2", fill: false}, {name: "rx", color: "network", fill: true}],
  disk: [{name: "write", color: "disk2", fill: false}, {name: "read", color: "disk", fill: true}],
};
const FLOORS = {cpu: 2, memory: 1 << 20, network: 2000, disk: 8192};

// The value at the top of a figure's line: the most of the time shown, or the memory limit where that is near.
function topOf(figure, history, stat, count) {
  const most = peak(history, LINES[figure].map((line) => line.name), count, FLOORS[figure]);
  if (figure === "memory") return stat.memoryLimited ? Math.max(stat.memoryLimit, most) : most * 1.15;
  return most;
}
