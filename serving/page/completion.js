// One answer of a chat, as it comes.

import { send } from "./api.js";
import { events } from "./sse.js";

function summary({ tokens, first, last, begun, version, finish }) {
  const parts = [];
  if (first) {
    const decoding = (last - first) / 1000;
    parts.push(`${tokens} token${tokens === 1 ? "" : "s"}`);
    // The first token's time is the prompt's.
    if (tokens > 1 && decoding > 0) parts.push(`${((tokens - 1) / decoding).toFixed(1)} tokens/s`);
    parts.push(`first after ${((first - begun) / 1000).toFixed(2)} s`);
  }
  if (finish === "length") parts.push("cut at the length limit");
  // Behind the digits that name the numerics.
  if (version) parts.push(`version ${version.split("-").at(-1).slice(0, 12)}`);
  return parts.join(" · ");
}

function take(chunk, state) {
  if (chunk.error) throw new Error(chunk.error.message);
  if (chunk.system_fingerprint) state.version = chunk.system_fingerprint;
  const choice = chunk.choices?.[0];
  if (choice?.finish_reason) state.finish = choice.finish_reason;
  const text = choice?.delta?.content ?? "";
  if (text) {
    state.last = performance.now();
    state.first ??= state.last;
    state.tokens += 1;
  }
  // Exact, where chunks are not tokens.
  if (chunk.usage) state.tokens = chunk.usage.completion_tokens;
  return text;
}

/**
 * Asks for the answer to `request`. Calls `show(text, note)` with all of the answer so far and
 * what is to be said of its speed. Returns the text; throws ApiError, or AbortError after `signal`.
 */
export async function complete(request, show, signal) {
  const state = { tokens: 0, begun: performance.now() };
  const json = { ...request, stream: true, stream_options: { include_usage: true } };
  const response = await send("POST", "/v1/chat/completions", { json, signal });
  let text = "";
  let ended = false;
  for await (const data of events(response.body)) {
    ended = data === "[DONE]";
    if (!ended) text += take(JSON.parse(data), state);
    show(text, summary(state));
  }
  if (!ended) throw new Error("The answer broke off: the connection was lost.");
  return text;
}
