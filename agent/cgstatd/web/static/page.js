// The table, the token, every control; then it begins.

const HIDDEN_MS = 300000;  // a hidden page leaves the agent alone after this time

table = new Table({grid: $("grid"), head: $("head"), scroll: $("scroll"), rows: $("rows")}, {
  sort: (column) => sortBy(column, sort.column === column ? !sort.descending : !COLUMNS.find((each) => each.id === column).text),
  choose: (entry) => { if (opened) open(entry, false); },
  open: (entry) => open(entry, true),
  fold: ({key}) => {
    if (!grouping.folded.delete(key)) grouping.folded.add(key);
    refresh(true);
  },
});

function sortBy(column, descending) {
  orderBy(column, descending);
  remember("localStorage", "cgstatd-sort", (descending ? "-" : "") + column);
  writeAddress(true);
}

function orderBy(column, descending) {
  Object.assign(sort, {column, descending});
  table.sorted(sort);
  $("sort").value = column;
  $("direction").textContent = descending ? "▼" : "▲";
  $("direction").setAttribute("aria-label", `Sort direction: ${descending ? "descending" : "ascending"}`);
  refresh(true);
}

function refresh(now = false) {
  const chosen = chosenContainers(), all = chosen.length;
  const view = selected(chosen, filter, sort), {by, folded} = grouping;
  table.show(by ? grouped(view, by, folded, sort) : view, now);
  put($("count"), view.length === all ? `${all} container${all === 1 ? "" : "s"}` : `${view.length} of ${all}`);
  $("empty").hidden = view.length > 0 || !version;
  put($("empty"), all ? "No container fits the filter." : filter.show === "stopped" ? "No container is stopped." : "No container is running.");
}

// Options are made anew only when the set of values has changed.
function choices(select, first, values, chosen) {
  const wanted = [...new Set(values)].filter(Boolean).sort(collator.compare);
  if (chosen && !wanted.includes(chosen)) wanted.push(chosen);
  const now = wanted.join("\n");
  if (select.value !== chosen) select.value = chosen;
  if (select.shown === now) return;
  select.shown = now;
  const options = wanted.map((value) => { const option = make("option", "", value); option.value = value; return option; });
  const none = make("option", "", first);
  none.value = "";
  select.replaceChildren(none, ...options);
  select.value = chosen;
}

function offered() {
  const stats = chosenContainers().map((entry) => entry.stat);
  choices($("runtime"), "All runtimes", stats.map((stat) => stat.runtime), filter.runtime);
  choices($("project"), "All projects", stats.map((stat) => stat.project), filter.project);
}

function groupBy(by) {
  grouping.by = by;
  $("group").value = by;
  table.grouped(Boolean(by));
  refresh(true);
}

// Everything as the address says: at the beginning, and when the reader goes back or follows a link.
function obey() {
  const {text, runtime, project, sort: order, group, interval, container, range, show} = readAddress();
  Object.assign(filter, {text, runtime, project});
  $("filter").value = text;
  showOnly(show);
  offered();
  orderBy(order.column, order.descending);
  groupBy(group);
  if ($("interval").value !== interval) {
    $("interval").value = interval;
    if (stream.path) again();
  }
  if (past.range !== range) {
    past.range = range;
    drawCharts();
    refreshPast();
  }
  if (!container) {
    awaited = "";
    if (opened) shut();
  } else if (!opened || shortened(opened.id) !== container) {
    awaited = container;
    if (store.containers.size) arrived();
  }
}

function again() {
  store.gap();
  follow();
}

// -- token

function askForToken(words) {
  put($("token-error"), words);
  if (!$("token").open) $("token").showModal();
  $("token-field").value = "";
  $("token-field").focus();
}

$("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  token = $("token-field").value.trim();
  remember("sessionStorage", "cgstatd-token", token);
  $("token").close();
  link("", "connecting");
  follow();
});

$("forget").addEventListener("click", () => {
  remember("sessionStorage", "cgstatd-token", null);
  location.reload();  // with the token goes everything that it gave access to
});

// -- controls

$("theme").addEventListener("click", () => {
  theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
  remember("localStorage", "cgstatd-theme", theme);
  applyTheme();
});
for (const media of [dark, forced]) media.addEventListener("change", applyTheme);
for (const name of ["runtime", "project"]) {
  $(name).addEventListener("change", () => { filter[name] = $(name).value; refresh(true); writeAddress(true); });
}
$("show").addEventListener("change", () => { showOnly($("show").value); writeAddress(true); });
$("group").addEventListener("change", () => { groupBy($("group").value); writeAddress(true); });
$("filter").addEventListener("input", () => { filter.text = $("filter").value; refresh(true); writeAddressSoon(); });
$("filter").addEventListener("keydown", (event) => {
  if (event.key !== "ArrowDown" && event.key !== "Enter") return;
  event.preventDefault();
  $("grid").focus();
  table.choose(Math.max(0, table.index()), false);
});
$("sort").append(...COLUMNS.map((column) => Object.assign(make("option", "", column.title), {value: column.id})));
$("sort").addEventListener("change", () => sortBy($("sort").value, !COLUMNS.find((each) => each.id === $("sort").value).text));
$("direction").addEventListener("click", () => sortBy(sort.column, !sort.descending));
$("interval").addEventListener("change", () => { again(); writeAddress(true); });
$("keys-button").addEventListener("click", () => $("keys").showModal());
$("keys-close").addEventListener("click", () => $("keys").close());
window.addEventListener("popstate", obey);
$("grid").addEventListener("focus", () => { if (table.index() < 0) table.choose(0, false); });

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  const typing = event.target.matches("input, select");
  if (event.key === "/" && !typing) {
    event.preventDefault();
    $("filter").focus();
    $("filter").select();
  } else if (event.key === "?" && !typing) {
    event.preventDefault();
    $("keys").showModal();
  } else if (event.key === "g" && !typing) {
    const order = ["", ...Object.keys(GROUPS)];
    groupBy(order[(order.indexOf(grouping.by) + 1) % order.length]);
    writeAddress(true);
  } else if (event.key === "s" && !typing) {
    showOnly(SHOWS[(SHOWS.indexOf(filter.show) + 1) % SHOWS.length]);
    writeAddress(true);
  } else if (event.key === "Escape") {
    if (event.target === $("filter") && $("filter").value) {
      $("filter").value = filter.text = "";
      refresh(true);
      writeAddressSoon();
    } else if (!$("detail").hidden) shutByHand();
    else if (!$("events").hidden) $("events-button").click();
    else $("grid").focus();
  }
});

document.addEventListener("visibilitychange", () => {
  clearTimeout(follow.timer);
  if (document.hidden) {
    follow.timer = setTimeout(() => { stream.stop(); follow.paused = true; }, HIDDEN_MS);
    return;
  }
  if (follow.paused) {
    follow.paused = false;
    store.gap();
    follow();
  }
  host();
  identitiesSoon();
  refreshDetail();
  refreshPast();
});

applyTheme();
obey();
follow();
