// Elements are made from strings that are never read as markup, so nothing in a text or a label can run.

/** An element with attributes and children; strings become text. */
export function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children);
  return element;
}

/** An element of SVG. */
export function makeSvg(name, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

/** The element of that id. */
export const byId = (id) => document.getElementById(id);

/** How a text is read, by its first letter: `dir=auto` looks into no mark, and takes seconds for a megabyte in a field. */
export function directionOf(text) {
  const first = text.slice(0, 1000).match(/\p{L}/u)?.[0] ?? "";
  return /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u.test(first) ? "rtl" : "ltr";
}

/** With one digit; nothing is quite certain. */
export function formatPercent(probability) {
  if (probability >= 0.9995) return "over 99.9 %";
  return probability < 0.0005 ? "under 0.1 %" : `${(probability * 100).toFixed(1)} %`;
}

/** The beginning of a text, at most so many characters; no character is cut in two. */
export function shorten(text, limit) {
  if (text.length <= limit) return text;
  const end = /[\uD800-\uDBFF]/.test(text[limit - 2]) ? limit - 2 : limit - 1;
  return `${text.slice(0, end)}…`;
}
