// The views, and what is asked again while one is looked at.

import { startChat } from "./chat.js";
import { byId, tell } from "./dom.js";
import { refreshJobs, startJobs } from "./jobs.js";
import { key, setKey } from "./key.js";
import { refreshModels } from "./models.js";
import { refreshServer } from "./server_state.js";

const REFRESH = { chat: refreshChat, jobs: refreshJobs, server: refreshServer };
const CHAT_MS = 10000;

let timer = 0;
let round = 0;
let keyWanted = false;

async function refreshChat() {
  await refreshModels();
  return CHAT_MS;
}

const shown = () => (location.hash.slice(1) in REFRESH ? location.hash.slice(1) : "chat");

function showNotice(text) {
  tell(byId("notice"), text);
  document.body.classList.toggle("key-wanted", keyWanted);
}

async function refresh() {
  clearTimeout(timer);
  const mine = ++round;
  let next = CHAT_MS;
  keyWanted = false;
  try {
    next = await REFRESH[shown()]();
    if (!keyWanted) showNotice("");
  } catch (error) {
    showError(error);
  }
  if (mine === round && !document.hidden) timer = setTimeout(refresh, next);
}

function show() {
  for (const link of document.querySelectorAll("nav a")) {
    const current = link.hash === `#${shown()}`;
    byId(link.hash.slice(1)).hidden = !current;
    if (current) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (shown() === "chat") byId("prompt").focus();
  refresh();
}

const wantedText = () =>
  key() ? "The server does not know this API key." : "This server asks for an API key.";

const showError = (error) => showNotice(keyWanted ? wantedText() : error.message);

const loadModels = () => refreshModels().catch(showError);

function takeKey(event) {
  event.preventDefault();
  setKey(byId("key").value.trim());
  loadModels();
  refresh();
}

document.addEventListener("key-wanted", () => {
  keyWanted = true;
  showNotice(wantedText());
});
document.addEventListener("visibilitychange", () => !document.hidden && refresh());
window.addEventListener("hashchange", show);
byId("key").value = key();
byId("key-form").addEventListener("submit", takeKey);
byId("key").addEventListener("change", takeKey);

startChat();
startJobs(refresh);
show();
if (shown() !== "chat") loadModels();
