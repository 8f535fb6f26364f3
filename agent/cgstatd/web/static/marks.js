// What happened while the lines were drawn: signs above them, and words below.

const SHOWN_MARKS = 8;
const SIGN_PX = 12;

const RESOURCES = {cpu: "CPU", memory: "memory", io: "the disk"};
const CAUSES = {
  own_limit: "its own limit", ancestor_limit: "a limit above it", itself: "it wants more than there is", neighbours: "others have it", unknown: "not known why",
};

function markWords({event, kills, exitCode, oomKilled, resource, cause, seconds, health}) {
  if (event === "start") return "started";
  if (event === "health") return `health: ${health}`;
  if (event === "pressure") {
    const did = seconds == null ? "waits" : `waited ${Math.round(seconds)} s`;
    return `${did} for ${RESOURCES[resource] ?? resource}: ${CAUSES[cause] ?? cause}`;
  }
  if (event === "oom") return kills == null ? "OOM-killed" : `${kills} ${kills === 1 ? "process" : "processes"} OOM-killed`;
  return `${exitCode == null ? "ended" : `exited with ${exitCode}`}${oomKilled ? ", OOM-killed" : ""}`;
}

// Marks and gaps, the latest first: {time, glyph, kind, words}.
function happenings(track) {
  const marks = track.marks.filter(({event}) => MARKS[event]).map((mark) => (
    {time: mark.timestamp, glyph: MARKS[mark.event].glyph, kind: mark.event, words: `${when(mark.timestamp, track.until)} ${markWords(mark)}`}));
  const gaps = track.gaps.map(({since, until, reason}) => (
    {time: since, glyph: "▨", kind: "gap", words: `${when(since, track.until)} to ${when(until, track.until)} no figures: ${reason}`}));
  return [...marks, ...gaps].sort((a, b) => b.time - a.time);
}

class Happenings {
  constructor() {
    this.lane = make("div", "lane");
    this.lane.setAttribute("aria-hidden", "true");
    this.list = make("ol", "happenings");
    this.list.setAttribute("aria-label", "What happened meanwhile");
  }

  // Each where its time is, or beside the one before it.
  signs(track, all, width) {
    const found = [];
    for (const {time, glyph, kind} of all.toReversed()) {
      if (kind === "gap") continue;
      const x = (time - track.from) / (track.until - track.from) * width, before = found.at(-1)?.[2] ?? -SIGN_PX;
      found.push([glyph, kind, Math.min(width - 6, Math.max(6, x, before + SIGN_PX))]);
    }
    return found;
  }

  show(track, width) {
    const all = happenings(track), shown = all.slice(0, SHOWN_MARKS);
    const signs = this.signs(track, all, width);
    const now = JSON.stringify([shown, signs, all.length]);
    if (this.now === now) return;
    this.now = now;
    this.lane.replaceChildren(...signs.map(([glyph, kind, x]) => {
      const sign = make("span", kind, glyph);
      sign.style.left = `${x.toFixed(1)}px`;
      return sign;
    }));
    const line = (kind, glyph, words) => {
      const sign = make("span", `sign ${kind}`, glyph);
      sign.setAttribute("aria-hidden", "true");
      return make("li", "", sign, make("span", "", words));
    };
    const rest = all.length - shown.length;
    this.list.replaceChildren(...shown.map(({kind, glyph, words}) => line(kind, glyph, words)), ...(rest ? [line("gap", "", `and ${rest} before`)] : []));
    this.list.hidden = !shown.length;
  }
}
