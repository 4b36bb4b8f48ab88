// The conversation with one model.

import { complete } from "./completion.js";
import { byId, element } from "./dom.js";
import { offerModels } from "./models.js";

let turns = [];
let running = null;

const number = (id) => (byId(id).value === "" ? undefined : Number(byId(id).value));

function showEmpty() {
  byId("thread").replaceChildren(
    element("p", { class: "empty" }, "Nothing said yet. Enter sends, Shift+Enter begins a line, Escape stops."));
}

function scrollsAlong(thread) {
  return thread.scrollHeight - thread.scrollTop - thread.clientHeight < 60;
}

function addTurn(who, role, text) {
  const body = element("div", { class: "text" }, text);
  const note = element("p", { class: "note" });
  const turn = element("article", { class: `turn ${role}`, "aria-label": who },
                       element("h3", {}, who), body, note);
  const thread = byId("thread");
  thread.querySelector(".empty")?.remove();
  thread.append(turn);
  thread.scrollTop = thread.scrollHeight;
  return { turn, body, note };
}

function setRunning(controller) {
  running = controller;
  byId("stop").hidden = !controller;
  byId("send").hidden = !!controller;
  byId("thread").setAttribute("aria-busy", String(!!controller));
}

function request() {
  const system = byId("system").value.trim();
  return {
    model: byId("chat-model").value,
    messages: system ? [{ role: "system", content: system }, ...turns] : turns,
    temperature: number("temperature"),
    max_tokens: number("max-tokens"),
  };
}

// A question without an answer goes back to where it can be asked again.
function takeBack(asked) {
  const { content } = asked.pop();
  if (!byId("prompt").value && asked === turns) byId("prompt").value = content;
}

async function answer() {
  const controller = new AbortController();
  const mine = turns;
  const { turn, body, note } = addTurn(byId("chat-model").value, "assistant", "");
  turn.classList.add("busy");
  setRunning(controller);
  try {
    await complete(request(), (text, summary) => {
      const follow = scrollsAlong(byId("thread"));
      body.textContent = text;
      note.textContent = summary;
      if (follow) byId("thread").scrollTop = byId("thread").scrollHeight;
    }, controller.signal);
  } catch (error) {
    if (error.name === "AbortError") {
      note.textContent = [note.textContent, "stopped"].filter(Boolean).join(" · ");
    } else {
      turn.append(element("p", { class: "error", role: "alert" }, error.message));
    }
  } finally {
    // What was said stays part of the conversation, also where it broke off.
    if (body.textContent) mine.push({ role: "assistant", content: body.textContent });
    else takeBack(mine);
    turn.classList.remove("busy");
    if (running === controller) setRunning(null);
  }
}

function submit(event) {
  event.preventDefault();
  const text = byId("prompt").value.trim();
  if (!text || running || !byId("composer").reportValidity()) return;
  byId("prompt").value = "";
  turns.push({ role: "user", content: text });
  addTurn("You", "user", text);
  answer();
}

function clear() {
  running?.abort();
  setRunning(null);
  turns = [];
  showEmpty();
  byId("prompt").focus();
}

/** Chats with `model` from now on. */
export function chatWith(model) {
  byId("chat-model").value = model;
  location.hash = "#chat";
}

export function startChat() {
  offerModels(byId("chat-model"));
  showEmpty();
  byId("composer").addEventListener("submit", submit);
  byId("clear").addEventListener("click", clear);
  byId("stop").addEventListener("click", () => running?.abort());
  byId("prompt").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) submit(event);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") running?.abort();
  });
}
