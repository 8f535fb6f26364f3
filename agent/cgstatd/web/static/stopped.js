// Containers that do not run: they are in the agent's list, but send no figures.

const STOPPED_MS = 10000;
const SOON_MS = 1500;  // the list is asked for once for what happens together
const SHOWS = ["", "all", "stopped"];  // those that run, all, those that do not

const NO_FIGURES = new History();

function stoppedEntry({id, name, runtime, ownerUid, project, state, exitCode, oomKilled, finished, image, pod}) {
  const stat = {id, name, runtime, ownerUid, project, state};
  const ended = {exitCode: state === "created" ? null : exitCode, oomKilled, since: finished, state};
  return {key: keyOf(stat), stat, image: image ?? "", pod: pod ?? "", history: NO_FIGURES, ended: null, stopped: ended, words: ""};
}

function stoppedOf(found) {
  return found.filter(({state}) => state !== "running" && state !== "paused").map(stoppedEntry);
}

// The containers of the table, before the filter.
function chosenContainers() {
  const running = filter.show === "stopped" ? [] : [...store.containers.values()];
  return filter.show ? [...running, ...store.stopped.filter(({key}) => !store.containers.has(key))] : running;
}

// Who is who, and who does not run; again and again only where that is shown.
async function identities() {
  clearTimeout(identities.timer);
  const found = await ask("api/containers", token).catch(() => null);
  if (found) {
    for (const each of found) store.identity(each);
    store.stopped = stoppedOf(found);
    if (filter.show) refresh();
  }
  table.schedule();
  if (filter.show && !document.hidden) identities.timer = setTimeout(identities, STOPPED_MS);
}

function identitiesSoon() {
  if (!filter.show) return;
  clearTimeout(identities.timer);
  identities.timer = setTimeout(identities, SOON_MS);
}

function showOnly(which) {
  if (filter.show === which) return;
  filter.show = which;
  $("show").value = which;
  if (which) identities();
  refresh(true);
}

function sinceWords({state, since}) {
  if (since == null) return state === "created" ? "never started" : "";
  const time = clock(since).slice(0, 5), day = new Date(since).toLocaleDateString([], {day: "numeric", month: "short"});
  return `since ${Math.abs(store.now - since) < 43200000 ? time : `${day} ${time}`}`;
}
