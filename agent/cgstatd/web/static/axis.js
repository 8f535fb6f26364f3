// The time below the charts, and the way to look at a point of it: by pointer, and by keyboard as a slider.

const TICK_SECONDS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400];
const TICK_PX = 62;
const HALF_PX = [17, 26];  // of a label, without seconds and with them

// Times at multiples of a step in the reader's zone, as many as there is room for.
function ticks(from, until, width) {
  const room = Math.max(2, Math.floor(width / TICK_PX)), seconds = (until - from) / 1000;
  const days = Math.ceil(seconds / 86400 / room) * 86400;
  const step = 1000 * (TICK_SECONDS.find((each) => seconds / each <= room) ?? days);
  const zone = new Date(until).getTimezoneOffset() * 60000, found = [];
  for (let at = Math.ceil((from - zone) / step) * step + zone; at <= until; at += step) found.push(at);
  return {step, found};
}

function tickWords(ms, step) {
  if (step >= 86400000) return new Date(ms).toLocaleDateString([], {day: "numeric", month: "short"});
  return step < 60000 ? clock(ms) : clock(ms).slice(0, 5);
}

// When, as short as it can be told: within a day its time.
function when(ms, now) {
  return Math.abs(now - ms) < 43200000 ? clock(ms) : moment(ms);
}

class Axis {
  // on: {move(by), leave()}; by: points, or ±Infinity
  constructor(on) {
    this.element = make("div", "axis");
    this.pool = [];
    const set = (name, value) => this.element.setAttribute(name, value);
    set("role", "slider");
    set("aria-label", "Time of the lines");
    set("aria-valuemin", "0");
    this.element.tabIndex = 0;
    const moves = {ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10, Home: -Infinity, End: Infinity};
    this.element.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      if (Object.hasOwn(moves, event.key)) on.move(moves[event.key]);
      else if (event.key !== "Escape" || !on.leave()) return;
      event.preventDefault();
      event.stopPropagation();
    });
    this.element.addEventListener("blur", () => on.leave());
  }

  // words: of the point that is looked at
  show(track, width, at, words) {
    const {step, found} = ticks(track.from, track.until, width), half = HALF_PX[Number(step < 60000)];
    while (this.pool.length < found.length) this.element.append(this.pool[this.pool.push(make("span")) - 1]);
    this.pool.forEach((node, n) => {
      node.hidden = n >= found.length;
      if (node.hidden) return;
      const x = (found[n] - track.from) / (track.until - track.from) * width;
      put(node, tickWords(found[n], step));
      node.style.left = `${Math.max(half, Math.min(width - half, x)).toFixed(1)}px`;
    });
    this.element.setAttribute("aria-valuemax", String(Math.max(0, track.times.length - 1)));
    this.element.setAttribute("aria-valuenow", String(at < 0 ? Math.max(0, track.times.length - 1) : at));
    this.element.setAttribute("aria-valuetext", words);
  }
}
