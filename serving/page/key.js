// The API key, kept for as long as the tab is open.

const NAME = "yiti-api-key";

export const key = () => sessionStorage.getItem(NAME) ?? "";

export function setKey(text) {
  if (text) sessionStorage.setItem(NAME, text);
  else sessionStorage.removeItem(NAME);
}
