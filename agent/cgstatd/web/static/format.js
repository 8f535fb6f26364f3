// Figures as text. Memory in binary units, network and disk in decimal ones, as docker stats has them.

const UNKNOWN = "–";
const THIN = "\u202f";  // between a number and its unit, so that they are never torn apart

function digits(value) {
  if (value >= 99.95) return value.toFixed(0);
  return value.toFixed(value >= 9.995 ? 1 : 2).replace(/\.?0+$/, "");
}

function scaled(value, base, units) {
  let unit = 0;
  while (value >= base * 0.9995 && unit < units.length - 1) {
    value /= base;
    unit += 1;
  }
  return (unit ? digits(value) : value.toFixed(0)) + THIN + units[unit];
}

const BINARY = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
const DECIMAL = ["B", "kB", "MB", "GB", "TB", "PB"];

function binary(bytes) {
  return bytes == null ? UNKNOWN : scaled(bytes, 1024, BINARY);
}

function decimal(bytes) {
  return bytes == null ? UNKNOWN : scaled(bytes, 1000, DECIMAL);
}

function rate(bytes) {
  return bytes == null ? UNKNOWN : scaled(bytes, 1000, DECIMAL) + "/s";
}

function percent(value) {
  if (value == null) return UNKNOWN;
  return (value >= 1000 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2)) + THIN + "%";
}

// A share of a limit, where the second decimal is noise.
function share(value) {
  return (value >= 9.95 ? value.toFixed(0) : value.toFixed(1).replace(".0", "")) + THIN + "%";
}

// A container that idles uses some thousandths of a core: two digits of it, not none.
function cores(value) {
  return value == null ? UNKNOWN : String(value < 0.1 ? Number(value.toPrecision(2)) : Math.round(value * 100) / 100);
}

function coresOf(value) {
  return `${cores(value)} ${value === 1 ? "core" : "cores"}`;
}

function duration(seconds) {
  if (seconds == null) return UNKNOWN;
  if (seconds < 1e-3) return digits(seconds * 1e6) + THIN + "µs";
  if (seconds < 1) return digits(seconds * 1e3) + THIN + "ms";
  if (seconds < 100) return digits(seconds) + THIN + "s";
  const minutes = Math.floor(seconds / 60), hours = Math.floor(minutes / 60), days = Math.floor(hours / 24);
  if (hours < 1) return `${minutes} min ${Math.floor(seconds % 60)} s`;
  return days < 1 ? `${hours} h ${minutes % 60} min` : `${days} d ${hours % 24} h`;
}

function clock(ms) {
  return new Date(ms).toLocaleTimeString([], {hour12: false});
}

function moment(ms) {
  return new Date(ms).toLocaleString([], {hour12: false, dateStyle: "medium", timeStyle: "medium"});
}

// usageUsec -> usage; nrThrottled -> nr throttled
function label(key) {
  const words = key.replace(/([A-Z])/g, (letter) => " " + letter.toLowerCase());
  return words.replace(/ (usec|bytes)$/, "");
}

// [0, 1, 2, 5] -> 0-2,5
function ranges(numbers) {
  const found = [];
  for (const number of numbers) {
    const last = found[found.length - 1];
    if (last && last[1] === number - 1) last[1] = number;
    else found.push([number, number]);
  }
  return found.map(([from, to]) => (from === to ? String(from) : `${from}-${to}`)).join(",") || "not set";
}

// One value of the detail answer, by its unit.
function worded(value, unit) {
  if (value === "max") return "no limit";
  if (Array.isArray(value)) return ranges(value);
  if (typeof value !== "number") return String(value);
  switch (unit) {
    case "bytes": return binary(value);
    case "microseconds": return duration(value / 1e6);
    case "percent": return percent(value);
    case "cores": return cores(value) + THIN + (value === 1 ? "core" : "cores");
    case "milliseconds since the epoch": return moment(value);
    default: return Number.isInteger(value) ? value.toLocaleString("en").replace(/,/g, THIN) : String(value);
  }
}

// 0 calm, 1 near the limit, 2 at it
function level(share) {
  return share == null ? 0 : share >= 95 ? 2 : share >= 80 ? 1 : 0;
}
