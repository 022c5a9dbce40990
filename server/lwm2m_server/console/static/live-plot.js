/* <live-plot>: values over time by uPlot; grows with the points that the page's stream brings. */
"use strict";

customElements.define("live-plot", class extends HTMLElement {
  static KEPT = 20000;

  connectedCallback() {
    const source = this.querySelector("script");
    if (!source || this.plot) return;
    const { times, lines, band } = JSON.parse(source.textContent);
    this.lines = lines;
    this.band = band;
    this.data = [times, ...lines.map((line) => line.values)];
    this.draw();
    new ResizeObserver(() => this.plot.setSize(this.size())).observe(this);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
    new MutationObserver(() => this.draw()).observe(document.documentElement, { attributeFilter: ["data-theme"] });
    document.getElementById("live")?.addEventListener("points", (event) => this.grow(JSON.parse(event.detail.data)));
    if ("open" in this.dataset) setInterval(() => this.plot.setScale("x", this.window()), 5000);
  }

  size() { return { width: Math.max(this.clientWidth, 200), height: 320 }; }

  /* What is seen, in seconds: of an open end the time until now. */
  window() {
    const since = Number(this.dataset.since) / 1000;
    const until = Number(this.dataset.until) / 1000;
    if (!("open" in this.dataset)) return { min: since, max: until };
    const now = Date.now() / 1000;
    return { min: now - (until - since), max: now };
  }

  /* The least and the most are the edges of a band. */
  isEdge(index) { return this.band && index < 2; }

  draw() {
    const token = (name) => getComputedStyle(this).getPropertyValue(name).trim();
    const colours = ["--accent", "--busy", "--waiting", "--bad", "--good", "--quiet"].map(token);
    const dashes = [[], [6, 3], [2, 2], [8, 3, 2, 3]];
    const axis = { stroke: token("--quiet"), grid: { stroke: token("--line"), width: 1 }, ticks: { stroke: token("--line") } };
    const units = this.dataset.units;
    const series = this.lines.map((line, index) => ({
      label: line.label,
      stroke: this.isEdge(index) ? "transparent" : colours[this.band ? 0 : index % colours.length],
      dash: this.band ? [] : dashes[index % dashes.length],
      width: this.isEdge(index) ? 0 : 2,
      spanGaps: true,
      points: this.isEdge(index) ? { show: false } : { size: 5 },
      value: (_, value) => (value == null ? "–" : `${Number(value.toPrecision(6))} ${units}`),
    }));
    const seen = this.plot ? { min: this.plot.scales.x.min, max: this.plot.scales.x.max } : this.window();
    this.plot?.destroy();
    this.plot = new uPlot({
      ...this.size(),
      scales: { x: { min: seen.min, max: seen.max } },
      axes: [axis, { ...axis, size: 70, label: units || undefined, labelSize: units ? 20 : 0 }],
      series: [{}, ...series],
      bands: this.band ? [{ series: [2, 1], fill: token("--accent-soft") }] : [],
    }, this.data, this);
    this.plot.setScale("x", seen);
  }

  /* Points are [path, milliseconds, value]; of a Resource with instances the value is an object. */
  grow(points) {
    const last = () => this.data[0].at(-1) ?? -Infinity;
    let any = false;
    for (const [path, at, value] of points) {
      const seconds = at / 1000;
      if (path !== this.dataset.path || seconds < last()) continue;
      const values = value !== null && typeof value === "object" ? value : { "": value };
      if (seconds > last()) {
        this.data[0].push(seconds);
        for (const column of this.data.slice(1)) column.push(null);
      }
      for (const [id, one] of Object.entries(values)) {
        const index = id === "" ? this.lines.length - 1 : this.lines.findIndex((line) => line.label.endsWith(` ${id}`));
        if (index >= 0 && typeof one === "number") this.data[index + 1][this.data[0].length - 1] = one;
      }
      any = true;
    }
    if (!any) return;
    const { min, max } = this.window();
    let gone = Math.max(this.data[0].length - this.constructor.KEPT, 0);
    while (gone < this.data[0].length && this.data[0][gone] < min) gone += 1;
    if (gone) for (const column of this.data) column.splice(0, gone);
    this.dataset.points = String(this.data[0].length);
    this.plot.setData(this.data, false);
    this.plot.setScale("x", { min, max });
  }
});
