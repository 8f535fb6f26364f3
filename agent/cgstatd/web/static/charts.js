// The detail's four larger lines, from the same history as the table's.

const CHARTS = [
  {id: "cpu", title: "CPU", now: (s) => percent(s.cpuPercent), top: percent, limit: (s) => s.cpuLimit == null ? null : s.cpuLimit * 100},
  {id: "memory", title: "Memory", now: (s) => binary(s.memoryUsage), top: binary, limit: (s) => s.memoryLimited ? s.memoryLimit : null},
  {id: "network", title: "Network ↓ ↑", now: (s) => s.networkAbsent ? UNKNOWN : `${rate(s.networkRxRate)} ${rate(s.networkTxRate)}`, top: rate, limit: () => null},
  {id: "disk", title: "Disk R W", now: (s) => `${rate(s.blockReadRate)} ${rate(s.blockWriteRate)}`, top: rate, limit: () => null},
];
const CHART_HEIGHT = 56;

class Charts {
  constructor() {
    this.element = make("div", "charts");
    this.width = 200;
    this.charts = CHARTS.map((chart) => {
      const now = make("b"), canvas = make("canvas");
      canvas.setAttribute("role", "img");
      this.element.append(make("figure", "", make("figcaption", "", make("span", "", chart.title), now), canvas));
      return {...chart, nowNode: now, canvas};
    });
    new ResizeObserver(() => { this.width = this.charts[0].canvas.clientWidth || this.width; }).observe(this.element);
  }

  show(entry) {
    for (const {id, title, now, top, limit, nowNode, canvas} of this.charts) {
      const scale = topOf(id, entry.history, entry.stat, POINTS), at = limit(entry.stat);
      put(nowNode, now(entry.stat));
      draw(canvas, this.width, CHART_HEIGHT, entry.history, LINES[id], POINTS, scale, at);
      const words = `${title}: now ${now(entry.stat)}, at most ${top(scale)} at the top of the chart`;
      if (canvas.title !== words) {
        canvas.title = words;
        canvas.setAttribute("aria-label", words);
      }
    }
  }
}
