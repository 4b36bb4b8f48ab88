// What the server does now, from its metrics.

import { getText } from "./api.js";
import { byId, element, facts } from "./dom.js";
import { parseMetrics, total, valuesOf } from "./metrics.js";

const WINDOW_MS = 10000;
const EVERY_MS = 1000;

let past = [];

// Histograms count a token when it comes; the token counters only when its request is done.
const tokensSoFar = (samples) =>
  total(samples, "vllm:inter_token_latency_seconds_count")
  + total(samples, "vllm:time_to_first_token_seconds_count");

function throughput(tokens) {
  const now = performance.now();
  past = past.filter((one) => now - one.at < WINDOW_MS && one.tokens <= tokens);
  past.push({ at: now, tokens });
  const [first] = past;
  return past.length > 1 ? ((tokens - first.tokens) * 1000) / (now - first.at) : 0;
}

// Models that share weights share a scheduler, whose state each of them tells.
const highest = (samples, name) => Math.max(0, ...valuesOf(samples, name));

function mean(samples, name) {
  const count = total(samples, `${name}_count`);
  return count > 0 ? `${((1000 * total(samples, `${name}_sum`)) / count).toFixed(1)} ms` : null;
}

function tile(name, value, note) {
  return element("div", { class: "tile" }, element("h3", {}, name), element("p", { class: "value" }, value),
                 element("p", { class: "note" }, note));
}

const UNITS = ["B", "kB", "MB", "GB", "TB"];

function bytes(count) {
  const power = Math.min(UNITS.length - 1, Math.floor(Math.log10(Math.max(1, count)) / 3));
  return `${(count / 1000 ** power).toFixed(power > 0 ? 1 : 0)} ${UNITS[power]}`;
}

function cacheTile(samples) {
  const [all, used, kept] = ["bytes", "used_bytes", "kept_bytes"].map(
    (what) => highest(samples, `yiti:kv_cache_${what}`));
  const card = tile("KV cache in memory", bytes(used), `in use, ${bytes(kept)} kept, of ${bytes(all)}`);
  card.append(element("meter", { min: 0, max: all, value: used, "aria-label": "KV cache in use" }));
  return card;
}

function processTile(samples) {
  return tile("Memory", bytes(total(samples, "process_resident_memory_bytes")),
              `of the process; all tensors ${bytes(highest(samples, "yiti:tensor_bytes"))}`);
}

// Nothing where the server keeps no blocks on disk.
function diskTiles(samples) {
  if (valuesOf(samples, "yiti:kv_store_bytes").length === 0) return [];
  const [size, blocks, loaded, saved] = ["bytes", "blocks", "loaded_total", "saved_total"].map(
    (what) => highest(samples, `yiti:kv_store_${what}`));
  return [tile("KV cache on disk", bytes(size),
               `${blocks.toLocaleString()} ${blocks === 1 ? "block" : "blocks"}; since the start ${loaded.toLocaleString()} read, `
               + `${saved.toLocaleString()} written`)];
}

function tiles(samples) {
  return element("div", { class: "tiles" },
    tile("Throughput", throughput(tokensSoFar(samples)).toFixed(1), "tokens/s, last 10 s"),
    tile("Running", String(highest(samples, "vllm:num_requests_running")), "requests"),
    tile("Waiting", String(highest(samples, "vllm:num_requests_waiting")
                           + highest(samples, "yiti:requests_waiting_for_load")), "requests"),
    processTile(samples), cacheTile(samples), ...diskTiles(samples));
}

function modelRow(samples, name) {
  const own = samples.filter(({ labels }) => labels.model_name === name);
  const cells = [name, total(own, "yiti:parameters_version"), total(own, "vllm:request_success_total"),
                 total(own, "yiti:request_failure_total"), total(own, "vllm:prompt_tokens_total"),
                 total(own, "vllm:generation_tokens_total")];
  return element("tr", {}, element("th", { scope: "row" }, name),
                 ...cells.slice(1).map((value) => element("td", {}, value.toLocaleString())));
}

function modelTable(samples) {
  const names = [...new Set(samples.map(({ labels }) => labels.model_name).filter(Boolean))];
  const heads = ["Model", "Version", "Finished", "Failed", "Prompt tokens", "Generated tokens"];
  return element("div", { class: "wide" }, element("table", {},
    element("thead", {}, element("tr", {}, ...heads.map((head) => element("th", { scope: "col" }, head)))),
    element("tbody", {}, ...names.map((name) => modelRow(samples, name)))));
}

/** Asks for the metrics and shows them; the milliseconds after which to ask again. */
export async function refreshServer() {
  try {
    const samples = parseMetrics(await getText("/metrics"));
    byId("server").replaceChildren(
      tiles(samples),
      facts([["To the first token", mean(samples, "vllm:time_to_first_token_seconds")],
             ["Between tokens", mean(samples, "vllm:inter_token_latency_seconds")],
             ["Waiting for a place", mean(samples, "vllm:request_queue_time_seconds")]]),
      modelTable(samples));
  } catch (error) {
    byId("server").replaceChildren(element("p", { class: "empty" }, error.message));
  }
  return EVERY_MS;
}
