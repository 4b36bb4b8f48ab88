// One prompt, answered by two models side by side.

import { complete } from "./completion.js";
import { element } from "./dom.js";

function column(model) {
  const text = element("div", { class: "text", "aria-live": "polite" });
  const note = element("p", { class: "note" });
  return { model, text, note, root: element("div", { class: "answer" }, element("h4", {}, model), text, note) };
}

async function ask({ model, text, note }, prompt, signal) {
  text.textContent = "";
  note.textContent = "…";
  try {
    const request = { model, temperature: 0, max_tokens: 256, messages: [{ role: "user", content: prompt }] };
    await complete(request, (answer, summary) => {
      text.textContent = answer;
      note.textContent = summary;
    }, signal);
  } catch (error) {
    note.textContent = error.name === "AbortError" ? "stopped" : error.message;
  }
}

/** A form that asks `base` and `tuned` the same, at temperature 0. */
export function comparison(base, tuned) {
  const columns = [column(base), column(tuned)];
  const prompt = element("textarea", { rows: 2, "aria-label": "Prompt for both models", required: true,
                                       placeholder: "One prompt for both" });
  const button = element("button", {}, "Compare");
  let running = null;
  async function submit(event) {
    event.preventDefault();
    if (running) return running.abort();
    running = new AbortController();
    button.textContent = "Stop";
    await Promise.all(columns.map((one) => ask(one, prompt.value.trim(), running.signal)));
    running = null;
    button.textContent = "Compare";
  }
  const form = element("form", { class: "compare", onsubmit: submit }, prompt, button);
  prompt.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    if (!running) form.requestSubmit();
  });
  return element("section", {}, element("h3", {}, "Compare"), form,
                 element("div", { class: "answers" }, ...columns.map(({ root }) => root)));
}
