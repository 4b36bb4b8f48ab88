// Prometheus' text format.

const SAMPLE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)/;
const LABEL = /(\w+)="((?:\\.|[^"\\])*)"/g;

function labelsOf(text = "") {
  const labels = {};
  for (const [, name, value] of text.matchAll(LABEL)) {
    labels[name] = value.replace(/\\(.)/g, (_, c) => (c === "n" ? "\n" : c));
  }
  return labels;
}

/** The samples of `text`: [{name, labels, value}]. */
export function parseMetrics(text) {
  const samples = [];
  for (const line of text.split("\n")) {
    const match = SAMPLE.exec(line);
    if (match) samples.push({ name: match[1], labels: labelsOf(match[2]), value: Number(match[3]) });
  }
  return samples;
}

/** The values of `name`, one a model. */
export const valuesOf = (samples, name) =>
  samples.filter((sample) => sample.name === name).map(({ value }) => value);
export const total = (samples, name) => valuesOf(samples, name).reduce((sum, value) => sum + value, 0);
