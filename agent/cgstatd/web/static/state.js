// What the reader wants and what the page remembers, and the colours.

const $ = (id) => document.getElementById(id);

function remembered(storage, key) {
  try { return window[storage].getItem(key); } catch { return null; }  // storage may be forbidden
}

function remember(storage, key, value) {
  try { value == null ? window[storage].removeItem(key) : window[storage].setItem(key, value); } catch { /* not this time */ }
}

const store = new Store();
const filter = {text: "", runtime: "", project: ""};
const sort = {column: "name", descending: false};
let token = remembered("sessionStorage", "cgstatd-token") ?? "";
let opened = null;  // the entry in the detail: {key, id, runtime, name}
let lostAt = 0;
let version = "";  // the agent's, once it has answered
let table = null;

// -- colours

const dark = matchMedia("(prefers-color-scheme: dark)");
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
