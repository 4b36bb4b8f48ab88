// The models that the server has, and the pickers that offer them.

import { get } from "./api.js";
import { element } from "./dom.js";

let models = [];
const pickers = [];

function fillPicker(picker) {
  const chosen = picker.value;
  picker.replaceChildren(
    ...models.map(({ id, parent }) => element("option", { value: id }, parent ? id : `${id} (base)`)));
  if (models.some(({ id }) => id === chosen)) picker.value = chosen;
  picker.disabled = models.length === 0;
}

/** Keeps the options of `picker`, a select, those that the server has. */
export function offerModels(picker) {
  pickers.push(picker);
  fillPicker(picker);
}

/** Asks the server again. */
export async function refreshModels() {
  const { data } = await get("/v1/models");
  const same = JSON.stringify(data) === JSON.stringify(models);
  models = data;
  if (!same) pickers.forEach(fillPicker);
}

export const hasModel = (id) => models.some((model) => model.id === id);
