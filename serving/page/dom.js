// Makes elements. Text only ever becomes text, never markup.

const SVG = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value != null) node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child != null));
  return node;
}

/** An HTML element; attributes that begin with "on" are listeners. */
export function element(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** An SVG element. */
export function shape(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

export const byId = (id) => document.getElementById(id);

/** Shows `text` in `node`, or hides it where there is none. */
export function tell(node, text) {
  node.textContent = text ?? "";
  node.hidden = !text;
}

/** A list of terms; those without a value are left out. */
export function facts(pairs) {
  const list = element("dl");
  for (const [term, value] of pairs) {
    if (value == null || value === "") continue;
    list.append(element("div", {}, element("dt", {}, term), element("dd", {}, String(value))));
  }
  return list;
}
