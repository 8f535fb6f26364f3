// The table: as many rows as are visible, given to the containers that are in view.

const OVERSCAN = 3;
const HOLD_MS = 2500;  // rows do not move away below a pointer or a key that is about to choose one

// What the figures beside it leave at each width (page.css has the same steps).
function sparkWidth(width) {
  if (width <= 385) return 40;
  if (width <= 430) return 52;
  if (width <= 770) return 64;
  if (width <= 1020) return 48;
  if (width <= 1240) return 64;
  return Math.round(Math.min(190, 56 + Math.max(0, width - 1500) * 0.14));
}

class Table {
  // on: {sort(column), choose(entry), open(entry), fold(group)}
  constructor(nodes, on) {
    Object.assign(this, nodes);  // grid, head, scroll, rows
    this.on = on;
    this.view = [];
    this.pool = [];
    this.active = "";
    this.top = 0;
    this.height = 0;
    this.rowHeight = 48;
    this.spark = {width: 64, points: 60, all: true};
    this.tree = false;
    this.heldUntil = 0;
    this.made = 0;
    this.headings();
    this.scroll.addEventListener("scroll", () => { this.top = this.scroll.scrollTop; this.schedule(); }, {passive: true});
    this.rows.addEventListener("pointermove", () => this.hold(), {passive: true});
    this.rows.addEventListener("click", (event) => this.clicked(event));
    this.grid.addEventListener("keydown", (event) => this.pressed(event));
    new ResizeObserver(() => this.resized()).observe(this.scroll);
    this.resized();
  }

  headings() {
    this.headers = new Map(COLUMNS.map((column) => {
      const button = make("button", "", column.title);
      button.type = "button";
      button.addEventListener("click", () => this.on.sort(column.id));
      const cell = make("div", column.id, button);
      if (column.unit) {
        const unit = make("span", "unit", column.unit);
        unit.setAttribute("aria-hidden", "true");
        cell.append(unit);
      }
      cell.setAttribute("role", "columnheader");
      return [column.id, cell];
    }));
    this.head.append(...this.headers.values());
  }

  // The only place where sizes are read.
  resized() {
    const style = getComputedStyle(this.scroll);
    this.rowHeight = parseInt(style.getPropertyValue("--row"), 10) || 48;
    this.height = this.scroll.clientHeight - this.head.offsetHeight;
    this.top = this.scroll.scrollTop;
    const width = this.scroll.clientWidth;
    const spark = sparkWidth(width);
    this.spark = {width: spark, points: spark > 96 ? 120 : 60, all: width <= 770 || width > 1020};
    this.grid.style.setProperty("--spark", `${spark}px`);
    this.schedule();
  }

  schedule() {
    this.frame ??= requestAnimationFrame(() => { this.frame = undefined; this.render(); });
  }

  hold() {
    this.heldUntil = performance.now() + HOLD_MS;
  }

  sorted({column, descending}) {
    for (const [id, cell] of this.headers) {
      cell.setAttribute("aria-sort", id !== column ? "none" : descending ? "descending" : "ascending");
    }
  }

  // The containers to show, in order. While held, those that are shown keep their places.
  show(view, now) {
    if (!now && performance.now() < this.heldUntil) {
      const wanted = new Map(view.map((entry) => [entry.key, entry]));
      const kept = this.view.filter((entry) => wanted.delete(entry.key));
      view = [...kept, ...wanted.values()];
    }
    this.view = view;
    this.schedule();
  }

  // Whether there are groups: then it is a tree to a screen reader.
  grouped(tree) {
    this.tree = tree;
    this.grid.setAttribute("role", tree ? "treegrid" : "grid");
  }

  index() {
    return this.view.findIndex((entry) => entry.key === this.active);
  }

  choose(index, open) {
    const entry = this.view[Math.max(0, Math.min(this.view.length - 1, index))];
    if (!entry) return;
    this.hold();
    this.active = entry.key;
    const y = this.view.indexOf(entry) * this.rowHeight;
    if (y < this.top) this.scroll.scrollTop = this.top = y;
    else if (y + this.rowHeight > this.top + this.height) this.scroll.scrollTop = this.top = y + this.rowHeight - this.height;
    this.render();
    if (entry.group) {
      if (open) this.on.fold(entry);
    } else if (open) this.on.open(entry);
    else this.on.choose(entry);
  }

  // Chooses a row as if it had been gone to.
  reveal(key) {
    const at = this.view.findIndex((entry) => entry.key === key);
    if (at >= 0) this.choose(at, false);
  }

  clicked(event) {
    const row = event.target.closest(".row")?.row;
    if (row) this.choose(this.view.findIndex((entry) => entry.key === row.key), true);
  }

  pressed(event) {
    if (event.target !== this.grid || event.ctrlKey || event.metaKey || event.altKey) return;
    const at = this.index(), page = Math.max(1, Math.floor(this.height / this.rowHeight) - 1);
    const moves = {ArrowDown: at + 1, ArrowUp: at - 1, j: at + 1, k: at - 1, PageDown: at + page, PageUp: at - page, Home: 0, End: this.view.length - 1};
    if (Object.hasOwn(moves, event.key)) this.choose(Math.max(0, moves[event.key]), false);
    else if (event.key === "Enter" && at >= 0) this.choose(at, true);
    else if (!this.sideways(event.key, at)) return;
    event.preventDefault();
  }

  // Left folds a group, or goes from a container to its group; right unfolds.
  sideways(key, at) {
    const entry = this.view[at];
    if (!this.tree || !entry || (key !== "ArrowLeft" && key !== "ArrowRight")) return false;
    const left = key === "ArrowLeft";
    if (!entry.group) {
      if (left) this.choose(this.view.findLastIndex((each, n) => n < at && each.group), false);
    } else if (left !== entry.folded) this.on.fold(entry);
    return true;
  }

  render() {
    const count = this.view.length;
    const size = count * this.rowHeight;
    if (this.size !== size) {
      this.size = size;
      this.rows.style.height = `${size}px`;
      this.top = Math.max(0, Math.min(this.top, size - this.height));
    }
    const first = Math.max(0, Math.floor(this.top / this.rowHeight) - OVERSCAN);
    const last = Math.min(count, Math.ceil((this.top + this.height) / this.rowHeight) + OVERSCAN);
    const wanted = this.view.slice(first, last);
    const keys = new Set(wanted.map((entry) => entry.key));
    const byKey = new Map();
    const free = [];
    for (const row of this.pool) (keys.has(row.key) && !byKey.has(row.key) ? byKey.set(row.key, row) : free.push(row));
    let chosen = "";
    this.pool = wanted.map((entry, n) => {
      const row = byKey.get(entry.key) ?? free.pop() ?? new Row(this.made += 1);
      row.key = entry.key;
      const y = (first + n) * this.rowHeight;
      if (row.y !== y) {
        row.y = y;
        row.element.style.transform = `translateY(${y}px)`;
        row.element.setAttribute("aria-rowindex", String(first + n + 2));
      }
      const active = entry.key === this.active;
      if (active) chosen = row.element.id;
      toggle(row.element, "active", active);
      row.element.setAttribute("aria-selected", String(active));
      this.levels(row.element, entry);
      row.show(entry, this.spark);
      return row;
    });
    for (const row of free) row.element.remove();
    let at = this.rows.firstChild;
    for (const row of this.pool) {
      if (row.element === at) at = at.nextSibling;
      else this.rows.insertBefore(row.element, at);
    }
    this.grid.setAttribute("aria-rowcount", String(count + 1));
    if (chosen) this.grid.setAttribute("aria-activedescendant", chosen);
    else this.grid.removeAttribute("aria-activedescendant");
  }

  levels(element, entry) {
    const attribute = (name, value) => {
      if (value === null) element.removeAttribute(name);
      else if (element.getAttribute(name) !== value) element.setAttribute(name, value);
    };
    attribute("aria-level", this.tree ? (entry.group ? "1" : "2") : null);
    attribute("aria-expanded", entry.group ? String(!entry.folded) : null);
  }
}
