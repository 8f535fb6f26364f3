// What waits, and why: above the table for as long as it counts. No event says that it is over.

const MOST_WAITS = 3;
let waiting = "";  // who waits for what, and why: what the list of events was told last

function waits({waits: found, more, validSeconds, timestamp}) {
  clearTimeout(waits.timer);
  waits.timer = setTimeout(noneWaits, validSeconds * 1000);
  const lines = found.slice(0, MOST_WAITS).map((each) => {
    const text = make("button", "", each.text);
    text.type = "button";
    text.addEventListener("click", () => show({key: "", id: each.id, name: each.name, runtime: each.runtime}));
    return make("li", "", text);
  });
  const others = found.length - lines.length + more;
  if (others > 0) lines.push(make("li", "", `${others} more wait`));
  $("waits-list").replaceChildren(...lines);
  put($("waits-time"), clock(timestamp));
  $("waits").hidden = false;
  const now = found.map(({id, resource, cause}) => `${id} ${resource} ${cause}`).sort().join("\n");
  if (now !== waiting) for (const each of found.slice(0, MOST_WAITS)) happened(each.text, timestamp, each, true);
  waiting = now;
}

function noneWaits() {
  waiting = "";
  $("waits").hidden = true;
  $("waits-list").replaceChildren();
}
