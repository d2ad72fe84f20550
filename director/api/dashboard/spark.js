// The small line: connections over the last ten minutes.

import { number, setAttr, setText, svg } from "./dom.js";

const width = 120, height = 24, span = 600e3;

export class Spark {
  constructor() {
    this.area = svg("path", { class: "area" });
    this.line = svg("path", { class: "line" });
    this.title = svg("title", {});
    this.node = svg("svg", { class: "spark", viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", role: "img", "aria-label": "no figures yet" }, this.title, this.area, this.line);
  }

  // draw takes counts by times (ms); null is a gap.
  draw(times, counts, what) {
    const end = times.at(-1) ?? 0;
    let least = Infinity, most = 0, last = 0;
    for (const c of counts) {
      if (c === null) continue;
      least = Math.min(least, c);
      most = Math.max(most, c);
      last = c;
    }
    const label = least === Infinity ? "no figures yet"
      : `${what}, last ten minutes: ${number(least)} to ${number(most)}, now ${number(last)}`;
    setAttr(this.node, "aria-label", label);
    setText(this.title, label);
    let line = "", area = "", from = -1, before = 0;
    const close = () => { if (from >= 0) area += `L${before} ${height}L${from} ${height}Z`; from = -1; };
    times.forEach((t, i) => {
      const c = counts[i];
      if (c === null || c === undefined) return close();
      const x = Math.round((1 - (end - t) / span) * width * 10) / 10;
      const y = Math.round((height - 1.5 - (most ? c / most : 0) * (height - 4)) * 10) / 10;
      const step = (from < 0 ? "M" : "L") + x + " " + y;
      if (from < 0) from = x;
      before = x;
      line += step;
      area += step;
    });
    close();
    setAttr(this.line, "d", line);
    setAttr(this.area, "d", area);
  }
}

// drawSeries shows active connections; where there never were any, as with UDP,
// the inactive ones.
export function drawSeries(spark, times, list) {
  const sums = { active: new Array(times.length).fill(null), inactive: new Array(times.length).fill(null) };
  for (const h of list) {
    for (const kind of ["active", "inactive"]) {
      const sum = sums[kind];
      h[kind].forEach((c, i) => { if (c !== null) sum[i] = (sum[i] ?? 0) + c; });
    }
  }
  const kind = sums.active.some((c) => c) || !sums.inactive.some((c) => c) ? "active" : "inactive";
  spark.draw(times, sums[kind], kind + " connections");
}
