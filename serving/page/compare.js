// One prompt, answered by two models side by side.

import { complete } from "./completion.js";
import { element } from "./dom.js";

class Column {
  constructor(label) {
    this.followsNewest = true;
    this.picker = element("select", { "aria-label": label, onchange: () => (this.followsNewest = false) });
    this.text = element("div", { class: "text", "aria-live": "polite" });
    this.note = element("p", { class: "note" });
    this.root = element("div", { class: "answer" }, this.picker, this.text, this.note);
  }

  /** What was chosen, or answered, stays where it still exists; else `preferred` is chosen. */
  offer(names, preferred) {
    const chosen = this.picker.value;
    this.picker.replaceChildren(...names.map((name) => element("option", { value: name }, name)));
    this.picker.value = !this.followsNewest && names.includes(chosen) ? chosen : preferred;
  }

  async ask(prompt, signal) {
    this.followsNewest = false;
    this.text.textContent = "";
    this.note.textContent = "…";
    const messages = [{ role: "user", content: prompt }];
    const request = { model: this.picker.value, temperature: 0, max_tokens: 256, messages };
    try {
      await complete(request, (answer, summary) => {
        this.text.textContent = answer;
        this.note.textContent = summary;
      }, signal);
    } catch (error) {
      this.note.textContent = error.name === "AbortError" ? "stopped" : error.message;
    }
  }
}

/** A form that asks two models the same, at temperature 0. */
export class Comparison {
  constructor() {
    this.running = null;
    this.columns = [new Column("First model"), new Column("Second model")];
    this.prompt = element("textarea", { rows: 2, required: true, placeholder: "One prompt for both",
                                        "aria-label": "Prompt for both models" });
    this.button = element("button", {}, "Compare");
    const form = element("form", { class: "compare", onsubmit: (event) => this.submit(event) },
                         this.prompt, this.button);
    this.prompt.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      if (!this.running) form.requestSubmit();
    });
    this.root = element("section", {}, element("h3", {}, "Compare"), form,
                        element("div", { class: "answers" }, ...this.columns.map(({ root }) => root)));
  }

  /** Lets the user choose among `base` and `tuned`, names, the newest first. */
  offer(base, tuned) {
    const names = [base, ...tuned];
    this.columns[0].offer(names, base);
    this.columns[1].offer(names, tuned[0]);
  }

  async submit(event) {
    event.preventDefault();
    if (this.running) return this.running.abort();
    this.running = new AbortController();
    this.button.textContent = "Stop";
    const prompt = this.prompt.value.trim();
    await Promise.all(this.columns.map((one) => one.ask(prompt, this.running.signal)));
    this.running = null;
    this.button.textContent = "Compare";
  }
}
