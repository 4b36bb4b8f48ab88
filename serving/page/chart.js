// The curve of a job's loss, as SVG.

import { shape } from "./dom.js";

const HEIGHT = 240;
const LEFT = 44;
const RIGHT = 12;
const TOP = 12;
const BOTTOM = 28;

/** About `count` round numbers from `low` to `high`. */
export function ticks(low, high, count) {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough);
  const from = Math.ceil(low / step - 1e-9);
  const result = [];
  for (let i = from; i * step <= high + step * 1e-9; i += 1) result.push(i * step);
  return { values: result, digits: Math.max(0, -Math.floor(Math.log10(step) + 1e-9)) };
}

function scales(series, steps, width) {
  const highest = Math.max(1e-3, ...series.flatMap(({ points }) => points.map(({ y }) => y)));
  const step = ticks(0, highest, 4).values[1];
  const high = Math.ceil(highest / step) * step;
  const x = (step) => LEFT + ((width - LEFT - RIGHT) * step) / steps;
  const y = (loss) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - loss / high);
  return { x, y, high, right: width - RIGHT };
}

function axes({ x, y, high, right }, steps) {
  const group = shape("g", { class: "axes" });
  const losses = ticks(0, high, 4);
  for (const value of losses.values) {
    group.append(
      shape("line", { x1: LEFT, x2: right, y1: y(value), y2: y(value) }),
      shape("text", { x: LEFT - 8, y: y(value) + 4, "text-anchor": "end" }, value.toFixed(losses.digits)));
  }
  for (const value of ticks(0, steps, 6).values.filter(Number.isInteger)) {
    group.append(shape("text", { x: x(value), y: HEIGHT - 8, "text-anchor": "middle" }, String(value)));
  }
  return group;
}

function curve({ name, points, className }, { x, y }) {
  const path = points.map(({ x: step, y: loss }) => `${x(step).toFixed(1)},${y(loss).toFixed(1)}`).join(" ");
  const last = points.at(-1);
  return shape("g", { class: className },
               shape("title", {}, name),
               shape("polyline", { points: path }),
               shape("circle", { cx: x(last.x), cy: y(last.y), r: 3 }));
}

/** A chart, `width` pixels wide, of `series` ({name, className, points: [{x: step, y: loss}]}) over `steps` steps. */
export function lossChart(series, steps, width) {
  const drawn = series.filter(({ points }) => points.length > 0);
  const label = drawn.map(({ name, points }) => `${name} ${points.at(-1).y.toFixed(3)}`).join(", ");
  const scale = scales(drawn, Math.max(1, steps), width);
  return shape("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, role: "img", class: "chart",
                        "aria-label": `Loss by step: ${label}` },
               axes(scale, Math.max(1, steps)),
               ...drawn.map((one) => curve(one, scale)));
}
