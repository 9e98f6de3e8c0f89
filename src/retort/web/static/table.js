// Many results become a table that sorts by each of its columns.

import { make } from "./dom.js";

const MAX_ROWS = 500; // more would make a page slow; the export has them all

/**
 * `columns` are `{title, value, cell, isNumber}`: `value(row)` is what sorts, `cell(row)` what is shown.
 * Rows stay in their order until a heading is pressed.
 */
export function renderTable(columns, rows) {
  const body = make("tbody");
  const headings = columns.map((column, index) => {
    const button = make("button", { type: "button" }, column.title);
    button.addEventListener("click", () => sortBy(index));
    return make("th", { scope: "col", "aria-sort": "none", class: column.isNumber && "number" }, button);
  });
  const note = make("p", { class: "note" });
  let sorted = { index: -1, direction: 1 };

  function sortBy(index) {
    const direction = sorted.index === index ? -sorted.direction : 1;
    sorted = { index, direction };
    headings.forEach((heading, i) => {
      heading.setAttribute("aria-sort", i !== index ? "none" : direction > 0 ? "ascending" : "descending");
    });
    show();
  }

  function show() {
    const { index, direction } = sorted;
    const shown = index < 0 ? rows : [...rows].sort((a, b) => direction * compare(columns[index].value(a), columns[index].value(b)));
    body.replaceChildren(...shown.slice(0, MAX_ROWS).map(renderRow));
    note.textContent = rows.length > MAX_ROWS ? `The first ${MAX_ROWS} of ${rows.length.toLocaleString("en")} rows; the export has them all.` : "";
  }

  function renderRow(row) {
    return make("tr", {}, ...columns.map(({ cell, isNumber, isText }) => make("td", { class: isNumber ? "number" : isText && "words" }, cell(row))));
  }

  show();
  const table = make("table", {}, make("thead", {}, make("tr", {}, ...headings)), body);
  return make("div", {}, make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Results" }, table), note);
}

/** Numbers by size, all else by the order of words; what is missing comes last. */
function compare(a, b) {
  if (typeof a === "number" && typeof b === "number") return a - b;
  return String(a).localeCompare(String(b));
}
