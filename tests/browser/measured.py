"""What the tests measure in the page: what sticks out, what is clipped, and the contrast of what is really there."""

from __future__ import annotations

FRAMES = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => requestAnimationFrame(done))))"
"""A change of size has been laid out, observed and drawn."""

SHOWN = """
const shown = (node) => {
  const box = node.getBoundingClientRect(), style = getComputedStyle(node);
  return box.width > 0 && box.height > 0 && style.visibility === "visible";
};
"""

STICKS_OUT = f"""(() => {{
  {SHOWN}
  const inside = (node) => {{  // text that ends in an ellipsis is cut where its box ends
    for (let at = node.parentElement; at; at = at.parentElement) {{
      const style = getComputedStyle(at);
      if (style.textOverflow === "ellipsis" && style.overflowX !== "visible") return true;
    }}
    return false;
  }};
  const found = [];
  const within = (node, right, what) => {{
    const box = node.getBoundingClientRect();
    if (box.right > right + 0.5 || box.left < -0.5) {{
      const words = `${{node.tagName}}.${{node.className}} ${{node.textContent.slice(0, 30)}}`;
      found.push(`${{what}}: ${{Math.round(box.left)}}-${{Math.round(box.right)}} ${{words}}`);
    }}
  }};
  const nodes = [...document.body.querySelectorAll("*")].filter((node) => shown(node) && !inside(node));
  for (const node of nodes) within(node, window.innerWidth, "beyond the window");
  const scroll = document.getElementById("scroll"), box = scroll.getBoundingClientRect();
  for (const node of scroll.querySelectorAll("*")) {{
    if (shown(node) && !inside(node)) within(node, box.left + scroll.clientWidth, "beyond the table");
  }}
  if (document.documentElement.scrollWidth > window.innerWidth) found.push("the page scrolls sideways");
  for (const node of document.querySelectorAll(".figure .value, .figure .small, .pids div, .head button, .keys")) {{
    if (shown(node) && node.scrollWidth > node.clientWidth + 1 && node.clientWidth) {{
      found.push(`clipped: ${{node.className}} ${{node.textContent}}`);
    }}
  }}
  return found;
}})()"""

COLOURS = """
const parsed = (text) => {
  const numbers = text.match(/[\\d.]+/g).map(Number);
  return text.startsWith("color(srgb") ? [...numbers.slice(0, 3).map((n) => n * 255), numbers[3] ?? 1]
    : [numbers[0], numbers[1], numbers[2], numbers[3] ?? 1];
};
const over = (top, below) => [0, 1, 2].map((n) => top[n] * top[3] + below[n] * (1 - top[3])).concat(1);
const background = (node) => {
  if (!node) return [255, 255, 255, 1];
  const own = parsed(getComputedStyle(node).backgroundColor);
  return own[3] === 1 ? own : over(own, background(node.parentElement));
};
const faded = (node) => (node ? Number(getComputedStyle(node).opacity) * faded(node.parentElement) : 1);
const light = ([r, g, b]) => {
  const linear = [r, g, b].map((n) => (n /= 255) <= 0.04045 ? n / 12.92 : ((n + 0.055) / 1.055) ** 2.4);
  return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
};
const contrast = (one, other) => {
  const [high, low] = [light(one), light(other)].sort((a, b) => b - a);
  return (high + 0.05) / (low + 0.05);
};
"""

FAINT_TEXT = f"""(() => {{
  {SHOWN} {COLOURS}
  const found = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let count = 0;
  while (walker.nextNode()) {{
    const text = walker.currentNode.textContent.trim(), node = walker.currentNode.parentElement;
    if (!text || !shown(node) || node.closest("script, style, noscript, option")) continue;
    count += 1;
    const below = background(node), own = parsed(getComputedStyle(node).color);
    const ratio = contrast(over([...own.slice(0, 3), own[3] * faded(node)], below), below);
    const where = node.closest("[class]")?.className;
    if (ratio < 4.5) found.push(`${{ratio.toFixed(2)}} ${{where}}: ${{text.slice(0, 30)}}`);
  }}
  return {{count, found: [...new Set(found)]}};
}})()"""

FAINT_FIELDS = f"""(() => {{
  {SHOWN} {COLOURS}
  const fields = [...document.querySelectorAll("input, select, button")].filter((node) => shown(node)
    && parseFloat(getComputedStyle(node).borderTopWidth));
  const ratio = (node) => contrast(parsed(getComputedStyle(node).borderTopColor), background(node.parentElement));
  const placeholder = document.getElementById("filter");
  const hint = contrast(parsed(getComputedStyle(placeholder, "::placeholder").color), background(placeholder));
  const found = fields.filter((node) => ratio(node) < 3).map((node) => `${{ratio(node).toFixed(2)}} ${{node.id}}`);
  return {{count: fields.length, found: hint < 4.5 ? [...found, `${{hint.toFixed(2)}} placeholder`] : found}};
}})()"""

FAINT_LINES = f"""(() => {{
  {COLOURS}
  const style = getComputedStyle(document.documentElement), probe = document.createElement("i");
  document.body.append(probe);
  const colour = (name) => {{ probe.style.color = `var(--${{name}})`; return parsed(getComputedStyle(probe).color); }};
  const names = ["cpu", "memory", "network", "network2", "disk", "disk2", "danger", "focus"];
  const found = names.map((name) => [name, contrast(colour(name), colour("surface"))]).filter(([, ratio]) => ratio < 3);
  probe.remove();
  return found;
}})()"""

BARS = f"""(() => {{
  {SHOWN} {COLOURS}
  return [...document.querySelectorAll(".row .track.on")].filter(shown).map((track) => {{
    const bar = track.firstChild, box = bar.getBoundingClientRect(), style = getComputedStyle(track);
    return {{
      width: box.width, height: box.height, border: style.borderTopStyle,
      bar: contrast(background(bar), background(track)),
      edge: contrast(parsed(style.borderTopColor), background(track.closest(".row"))),
    }};
  }});
}})()"""
