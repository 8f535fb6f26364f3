// The table, the token, every control; then it begins.

const HIDDEN_MS = 300000;  // nobody looks: the agent is left alone after this time

table = new Table({grid: $("grid"), head: $("head"), scroll: $("scroll"), rows: $("rows")}, {
  sort: (column) => sortBy(column, sort.column === column ? !sort.descending : !COLUMNS.find((each) => each.id === column).text),
  choose: (entry) => { if (opened) open(entry, false); },
  open: (entry) => open(entry, true),
});

function sortBy(column, descending) {
  Object.assign(sort, {column, descending});
  remember("localStorage", "cgstatd-sort", `${column} ${descending}`);
  table.sorted(sort);
  $("sort").value = column;
  $("direction").textContent = descending ? "▼" : "▲";
  $("direction").setAttribute("aria-label", `Sort direction: ${descending ? "descending" : "ascending"}`);
  refresh(true);
}

function refresh(now = false) {
  const view = selected(store.containers.values(), filter, sort);
  table.show(view, now);
  const all = store.containers.size;
  put($("count"), view.length === all ? `${all} container${all === 1 ? "" : "s"}` : `${view.length} of ${all}`);
  $("empty").hidden = view.length > 0 || !version;
  put($("empty"), all ? "No container fits the filter." : "No container is running.");
}

// Options are made anew only when the set of values has changed.
function choices(select, first, values) {
  const wanted = [...new Set(values)].filter(Boolean).sort(collator.compare);
  const now = wanted.join("\n");
  if (select.shown === now) return;
  select.shown = now;
  const chosen = select.value;
  const options = wanted.map((value) => { const option = make("option", "", value); option.value = value; return option; });
  const none = make("option", "", first);
  none.value = "";
  if (chosen && !wanted.includes(chosen)) options.push(Object.assign(make("option", "", chosen), {value: chosen}));
  select.replaceChildren(none, ...options);
  select.value = chosen;
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
dark.addEventListener("change", applyTheme);
for (const name of ["runtime", "project"]) {
  $(name).addEventListener("change", () => { filter[name] = $(name).value; refresh(true); });
}
$("filter").addEventListener("input", () => { filter.text = $("filter").value; refresh(true); });
$("filter").addEventListener("keydown", (event) => {
  if (event.key !== "ArrowDown" && event.key !== "Enter") return;
  event.preventDefault();
  $("grid").focus();
  table.choose(Math.max(0, table.index()), false);
});
$("sort").append(...COLUMNS.map((column) => Object.assign(make("option", "", column.title), {value: column.id})));
$("sort").addEventListener("change", () => sortBy($("sort").value, !COLUMNS.find((each) => each.id === $("sort").value).text));
$("direction").addEventListener("click", () => sortBy(sort.column, !sort.descending));
$("interval").addEventListener("change", () => { store.gap(); follow(); });
$("grid").addEventListener("focus", () => { if (table.index() < 0) table.choose(0, false); });

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || $("token").open) return;
  const typing = event.target.matches("input, select");
  if (event.key === "/" && !typing) {
    event.preventDefault();
    $("filter").focus();
    $("filter").select();
  } else if (event.key === "Escape") {
    if (event.target === $("filter") && $("filter").value) {
      $("filter").value = filter.text = "";
      refresh(true);
    } else if (!$("detail").hidden) shut();
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
  refreshDetail();
});

applyTheme();
const [column, descending] = (remembered("localStorage", "cgstatd-sort") ?? "name false").split(" ");
sortBy(COLUMNS.some((each) => each.id === column) ? column : "name", descending === "true");
follow();
