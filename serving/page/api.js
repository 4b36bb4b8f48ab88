// Requests to the server that this page came from.

import { key } from "./key.js";

/** What went wrong, in the server's words where it has some. */
export class ApiError extends Error {
  constructor(status, message, code) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

async function refusal(response) {
  const text = await response.text();
  try {
    const { error } = JSON.parse(text);
    return new ApiError(response.status, error.message, error.code);
  } catch {
    return new ApiError(response.status, text || `The server answered ${response.status}`);
  }
}

/** The response to a request; throws ApiError unless it is a success. */
export async function send(method, path, { json, form, signal } = {}) {
  const headers = {};
  if (key()) headers.Authorization = `Bearer ${key()}`;
  if (json !== undefined) headers["Content-Type"] = "application/json";
  const body = json === undefined ? form : JSON.stringify(json);
  let response;
  try {
    response = await fetch(path, { method, headers, body, signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, "The server cannot be reached. Is it still running?");
  }
  if (response.ok) return response;
  const error = await refusal(response);
  if (error.status === 401) document.dispatchEvent(new CustomEvent("key-wanted"));
  throw error;
}

export const get = async (path) => (await send("GET", path)).json();
export const getText = async (path) => (await send("GET", path)).text();
export const post = async (path, json = {}) => (await send("POST", path, { json })).json();
export const upload = async (path, form) => (await send("POST", path, { form })).json();
export const remove = async (path) => (await send("DELETE", path)).json();
