// What the reader wants and what the page remembers, and the colours.

const $ = (id) => document.getElementById(id);

function remembered(storage, key) {
  try { return window[storage].getItem(key); } catch { return null; }  // storage may be forbidden
}

function remember(storage, key, value) {
  try { value == null ? window[storage].removeItem(key) : window[storage].setItem(key, value); } catch { /* not this time */ }
}

const store = new Store();
const filter = {text: "", runtime: "", project: "", show: ""};
const sort = {column: "cpu", descending: true};
const grouping = {by: "", folded: new Set()};  // by: "", project, pod
const machine = {cores: null, memory: null};  // what sums are a share of
let token = remembered("sessionStorage", "cgstatd-token") ?? "";
let opened = null;  // the entry in the detail: {key, id, runtime, name}
let awaited = "";  // the container that the address names, until a round has shown whether it is there
let lostAt = 0;
let version = "";  // the agent's, once it has answered
let table = null;

// -- colours

const dark = matchMedia("(prefers-color-scheme: dark)");
const forced = matchMedia("(forced-colors: active)");
const THEMES = ["auto", "light", "dark"];
let theme = remembered("localStorage", "cgstatd-theme") ?? "auto";

function applyTheme() {
  if (!THEMES.includes(theme)) theme = "auto";
  document.documentElement.dataset.theme = theme === "auto" ? (dark.matches ? "dark" : "light") : theme;
  $("theme-text").textContent = theme;
  $("theme").setAttribute("aria-label", `Colours: ${theme === "auto" ? "as the system" : theme}`);
  readPalette();
  table?.schedule();
  drawCharts();
}
