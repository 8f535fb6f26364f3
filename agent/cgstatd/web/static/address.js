// The reader's choices, in the part of the address behind the #: they can be shared, kept and gone back to. That part
// never reaches a server. A link may come from a stranger: every value is checked, or is only ever shown as text.

const LONGEST = 200;
const INTERVALS = ["1", "2", "5", "10"];
const DEFAULT_SORT = "-cpu";
const KNOWN_RANGES = ["live", "15m", "1h", "all"];

function valid(container) {
  return /[/\\%\0]|\.\.|^\.$/.test(container) ? "" : container;
}

function readAddress() {
  const found = new URLSearchParams(location.hash.slice(1));
  const text = (name) => (found.get(name) ?? "").slice(0, LONGEST);
  const sorted = text("sort") || (remembered("localStorage", "cgstatd-sort") ?? DEFAULT_SORT);
  const column = sorted.replace(/^-/, "");
  const known = COLUMNS.some((each) => each.id === column);
  const order = known ? {column, descending: sorted.startsWith("-")} : {column: "cpu", descending: true};
  return {
    text: text("q"), show: SHOWS.includes(text("show")) ? text("show") : "", runtime: text("runtime"), project: text("project"), sort: order,
    group: Object.hasOwn(GROUPS, text("group")) ? text("group") : "",
    interval: INTERVALS.includes(text("every")) ? text("every") : INTERVALS[0],
    container: valid(text("c")), range: KNOWN_RANGES.includes(text("range")) ? text("range") : "",
  };
}

// As short as it can be and still be found: engines take the first twelve digits of an id.
function shortened(id) {
  return /^[0-9a-f]{64}$/.test(id) ? id.slice(0, 12) : id;
}

// push: a step that the back button goes back over.
function writeAddress(push) {
  const now = new URLSearchParams();
  const set = (name, value, usual = "") => { if (value !== usual) now.set(name, value); };
  set("q", filter.text.slice(0, LONGEST));
  set("show", filter.show);
  set("runtime", filter.runtime);
  set("project", filter.project);
  set("group", grouping.by);
  now.set("sort", (sort.descending ? "-" : "") + sort.column);
  set("every", $("interval").value, INTERVALS[0]);
  set("c", opened ? shortened(opened.id) : "");
  set("range", past.range);
  const hash = `#${now}`;
  if (hash === location.hash) return;
  const write = push ? "pushState" : "replaceState";
  try { history[write](null, "", hash); } catch { /* a browser that has had too many at once */ }
}

// Of what is typed, the last is enough.
function writeAddressSoon() {
  clearTimeout(writeAddressSoon.timer);
  writeAddressSoon.timer = setTimeout(() => writeAddress(false), 250);
}
