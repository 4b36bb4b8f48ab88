// The form that starts a job.

import { post, upload } from "./api.js";
import { byId, tell } from "./dom.js";
import { offerModels } from "./models.js";

function showFile() {
  const [file] = byId("file").files;
  byId("file-name").textContent = file
    ? `${file.name} · ${(file.size / 1024).toFixed(1)} KiB`
    : "Drop a JSONL of conversations here, or choose one";
  tell(byId("job-error"), "");
}

function acceptDrops(area) {
  const mark = (event) => {
    event.preventDefault();
    area.classList.toggle("over", event.type === "dragover");
  };
  area.addEventListener("dragover", mark);
  area.addEventListener("dragleave", mark);
  area.addEventListener("drop", (event) => {
    mark(event);
    if (event.dataTransfer.files.length === 0) return;
    byId("file").files = event.dataTransfer.files;
    showFile();
  });
}

async function createJob() {
  const form = new FormData();
  form.append("purpose", "fine-tune");
  form.append("file", byId("file").files[0]);
  const file = await upload("/v1/files", form);
  const request = { model: byId("base").value, training_file: file.id };
  if (byId("suffix").value) request.suffix = byId("suffix").value;
  if (byId("epochs").value) {
    const hyperparameters = { n_epochs: Number(byId("epochs").value) };
    request.method = { type: "supervised", supervised: { hyperparameters } };
  }
  return post("/v1/fine_tuning/jobs", request);
}

/** Calls `started` with each job that was made. */
export function startJobForm(started) {
  offerModels(byId("base"));
  acceptDrops(byId("drop"));
  byId("file").addEventListener("change", showFile);
  byId("job-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = byId("start");
    button.disabled = true;
    button.textContent = "Checking the file…";
    tell(byId("job-error"), "");
    try {
      started(await createJob());
    } catch (error) {
      tell(byId("job-error"), error.message);
    } finally {
      button.disabled = false;
      button.textContent = "Start";
    }
  });
}
