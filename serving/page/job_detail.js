// One job: its state, its curve, what came of it.

import { post, remove } from "./api.js";
import { lossChart } from "./chart.js";
import { chatWith } from "./chat.js";
import { Comparison } from "./compare.js";
import { element, facts, tell } from "./dom.js";
import { hasModel, refreshModels } from "./models.js";

const ACTIONS = {
  validating_files: ["cancel"],
  queued: ["pause", "cancel"],
  running: ["pause", "cancel"],
  paused: ["resume", "cancel"],
};
const MESSAGES_SHOWN = 12;
const TIME = { dateStyle: "short", timeStyle: "short" };

export const isFinal = ({ status }) => ACTIONS[status] === undefined;
export const jobTitle = (job) => job.user_provided_suffix || job.id;
export const statusBadge = ({ status }) =>
  element("span", { class: `status ${status}` }, status.replace("_", " "));

const points = (metrics, field) =>
  metrics.filter((data) => data[field] !== undefined).map((data) => ({ x: data.step, y: data[field] }));

function seriesOf(events) {
  const metrics = events.filter(({ type }) => type === "metrics").map(({ data }) => data);
  metrics.sort((a, b) => a.step - b.step);
  return [
    { name: "training loss", className: "train", points: points(metrics, "train_loss") },
    { name: "validation loss", className: "valid", points: points(metrics, "valid_loss") },
  ].filter((series) => series.points.length > 0);
}

function legend(series) {
  return element("p", { class: "legend" }, ...series.map(({ name, className, points: drawn }) =>
    element("span", { class: className }, `${name} ${drawn.at(-1).y.toFixed(3)}`)));
}

function describe(job) {
  const state = job.yiti ?? {};
  const time = (unix) => unix && new Date(unix * 1000).toLocaleString([], TIME);
  return facts([
    ["Base", job.model],
    ["Step", state.total_steps ? `${state.step} of ${state.total_steps}` : null],
    ["Loss", state.loss?.toFixed(4)],
    ["Held-out loss", state.held_out_loss?.toFixed(4)],
    ["Trained tokens", (job.trained_tokens ?? state.tokens)?.toLocaleString()],
    ["Epochs", job.hyperparameters?.n_epochs],
    ["Version", state.system_fingerprint?.slice(0, 12) ?? (state.version || null)],
    ["Started", time(job.created_at)],
    ["Finished", time(job.finished_at)],
    ["About done at", time(job.estimated_finish)],
  ]);
}

/** The view of one job; `changed` is called after the user did something to it. */
export class JobDetail {
  constructor(job, changed) {
    this.changed = changed;
    this.id = job.id;
    this.drawn = {};
    this.parts = {};
    this.comparison = new Comparison();
    this.problem = element("p", { class: "error", role: "alert", hidden: true });
    this.root = element("div", { class: "job" });
    for (const name of ["head", "facts", "chart", "models", "compare", "events"]) {
      this.parts[name] = element("div", { class: name });
    }
    this.parts.compare.append(this.comparison.root);
    this.root.append(this.parts.head, this.problem, ...Object.values(this.parts).slice(1));
  }

  update(job, events, checkpoints) {
    const series = seriesOf(events);
    const steps = job.yiti?.total_steps || series[0]?.points.at(-1).x || 1;
    const models = this.modelsOf(job, checkpoints);
    this.draw("head", [job.status, job.error, jobTitle(job)], () => this.head(job));
    this.draw("facts", job, () => [describe(job)]);
    const width = this.root.clientWidth;
    this.draw("chart", [series, steps, width], () => this.chart(series, steps, width));
    this.draw("models", models, () => this.models(models));
    this.compare(job.model, models.map(({ name }) => name));
    const messages = events.filter(({ type }) => type !== "metrics").slice(0, MESSAGES_SHOWN);
    this.draw("events", messages, () => this.messages(messages));
  }

  // Draws a part again only where what it shows has changed, so that focus and input stay.
  draw(name, shown, make) {
    const state = JSON.stringify(shown);
    if (this.drawn[name] === state) return;
    this.drawn[name] = state;
    this.parts[name].replaceChildren(...make());
  }

  head(job) {
    const buttons = (ACTIONS[job.status] ?? []).map((action) =>
      element("button", { type: "button", onclick: () => this.act(action) },
              action[0].toUpperCase() + action.slice(1)));
    return [
      element("div", { class: "row" }, element("h2", {}, jobTitle(job)), statusBadge(job),
              element("span", { class: "space" }), ...buttons),
      ...(job.error ? [element("p", { class: "error", role: "alert" }, job.error.message)] : []),
    ];
  }

  chart(series, steps, width) {
    if (series.length === 0) return [element("p", { class: "empty" }, "The curve begins with the first step.")];
    return [lossChart(series, steps, width), legend(series)];
  }

  compare(base, tuned) {
    this.comparison.root.hidden = tuned.length === 0;
    if (JSON.stringify(tuned) === this.drawn.compare) return;
    this.drawn.compare = JSON.stringify(tuned);
    this.comparison.offer(base, tuned);
  }

  modelsOf(job, checkpoints) {
    const named = checkpoints.map((one) => ({ name: one.fine_tuned_model_checkpoint,
                                              note: `checkpoint of step ${one.step_number}` }));
    if (job.fine_tuned_model) named.unshift({ name: job.fine_tuned_model, note: "the result" });
    return named.filter(({ name }) => hasModel(name));
  }

  models(models) {
    if (models.length === 0) return [];
    const rows = models.map(({ name, note }) => element("li", {},
      element("span", { class: "name" }, name), element("span", { class: "note" }, note),
      element("span", { class: "buttons" },
              element("button", { type: "button", onclick: () => chatWith(name), "aria-label": `Chat with ${name}` }, "Chat"),
              element("button", { type: "button", onclick: () => this.erase(name), "aria-label": `Delete ${name}` }, "Delete"))));
    return [element("h3", {}, "Models"), element("ul", { class: "plain" }, ...rows)];
  }

  messages(messages) {
    const rows = messages.map(({ created_at: at, level, message }) => element("li", { class: level },
      element("time", {}, new Date(at * 1000).toLocaleTimeString()), " ", message));
    return rows.length > 0 ? [element("h3", {}, "Messages"), element("ul", { class: "plain log" }, ...rows)] : [];
  }

  act(action) {
    return this.attempt(() => post(`/v1/fine_tuning/jobs/${encodeURIComponent(this.id)}/${action}`));
  }

  erase(name) {
    if (!confirm(`Delete ${name}? Its files are deleted, too.`)) return undefined;
    return this.attempt(async () => {
      await remove(`/v1/models/${encodeURIComponent(name)}`);
      await refreshModels();
    });
  }

  async attempt(what) {
    try {
      await what();
      tell(this.problem, "");
    } catch (error) {
      tell(this.problem, error.message);
    }
    this.changed();
  }
}
