// The list of jobs, and the one that is looked at.

import { get } from "./api.js";
import { byId, element } from "./dom.js";
import { isFinal, JobDetail, jobTitle, statusBadge } from "./job_detail.js";
import { startJobForm } from "./job_form.js";
import { refreshModels } from "./models.js";

const LIVELY_MS = 1000;
const CALM_MS = 5000;
const EXAMPLE = `{"messages": [
  {"role": "user", "content": "What is yiti?"},
  {"role": "assistant", "content": "Training and inference in one engine."}]}`.replace(/\n +/g, "");

let selected = null;
let detail = null;
let events = [];
let listed = "";
let refresh = refreshJobs;

const path = (id, part = "") => `/v1/fine_tuning/jobs/${encodeURIComponent(id)}${part}`;

function say(text, ...more) {
  byId("job").replaceChildren(element("p", { class: "empty" }, text), ...more);
  detail = null;
}

// All events, newest first, as the pages come; what is known already ends the reading.
async function readEvents(id, known) {
  const seen = new Set(known.map((event) => event.id));
  const fresh = [];
  let query = seen.size > 0 ? "?limit=20" : "?limit=100";
  for (;;) {
    const { data, has_more: more } = await get(path(id, `/events${query}`));
    const news = data.filter((event) => !seen.has(event.id));
    fresh.push(...news);
    if (news.length < data.length || !more) return [...fresh, ...known];
    query = `?limit=100&after=${encodeURIComponent(data.at(-1).id)}`;
  }
}

function select(id) {
  if (id === selected) return;
  selected = id;
  detail = null;
  events = [];
  refresh();
}

function showList(jobs) {
  const state = JSON.stringify([jobs.map(({ id, status }) => [id, status]), selected]);
  if (state === listed) return;
  listed = state;
  const focused = document.activeElement?.dataset?.job;
  byId("job-list").replaceChildren(...jobs.map((job) => element("li", {},
    element("button", { type: "button", "data-job": job.id, onclick: () => select(job.id),
                        "aria-current": job.id === selected ? "true" : null },
            element("span", { class: "name" }, jobTitle(job)), statusBadge(job)))));
  if (focused) byId("job-list").querySelector(`[data-job="${CSS.escape(focused)}"]`)?.focus();
}

async function showJob(job) {
  const all = await readEvents(job.id, events);
  const checkpoints = await get(path(job.id, "/checkpoints?limit=100"));
  await refreshModels();
  if (job.id !== selected) return;
  events = all;
  if (detail?.id !== job.id) {
    detail = new JobDetail(job, refresh);
    byId("job").replaceChildren(detail.root);
  }
  detail.update(job, events, checkpoints.data);
}

/** Asks for the jobs and shows them; the milliseconds after which to ask again. */
export async function refreshJobs() {
  let jobs;
  try {
    jobs = (await get("/v1/fine_tuning/jobs?limit=100")).data;
    byId("job-form").inert = false;
  } catch (error) {
    const off = error.code === "fine_tuning_disabled";
    byId("job-form").inert = off;
    say(off ? "This server does not fine-tune. Start it with --data-dir DIR, and jobs appear here." : error.message);
    return CALM_MS;
  }
  if (!jobs.some(({ id }) => id === selected)) selected = jobs[0]?.id ?? null;
  showList(jobs);
  const job = jobs.find(({ id }) => id === selected);
  if (!job) {
    say("No job yet. Each line of the file is a conversation:", element("pre", { class: "example" }, EXAMPLE));
    return CALM_MS;
  }
  try {
    await showJob(job);
  } catch (error) {
    say(error.message);
  }
  return jobs.every(isFinal) ? CALM_MS : LIVELY_MS;
}

/** `again` is called where what is shown is to be asked for anew at once. */
export function startJobs(again) {
  refresh = again;
  startJobForm((job) => select(job.id));
}
