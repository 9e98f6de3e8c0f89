// A text and its entities become the text with marks in it.  Offsets count code points, as the API does.

import { directionOf, formatPercent, make } from "./dom.js";

/** A sentence. */
export function countEntities(n) {
  return n === 0 ? "No entities found." : n === 1 ? "1 entity found." : `${n} entities found.`;
}

/** The whole text in pieces `{text}` and `{text, entity}`; an entity that overlaps the one before is left plain. */
export function cutText(text, entities) {
  const characters = Array.from(text);
  const pieces = [];
  let at = 0;
  for (const entity of [...entities].sort((a, b) => a.start - b.start)) {
    const { start, end } = entity;
    if (start < at || start >= end || end > characters.length) continue;
    if (start > at) pieces.push({ text: characters.slice(at, start).join("") });
    pieces.push({ text: characters.slice(start, end).join(""), entity });
    at = end;
  }
  if (at < characters.length) pieces.push({ text: characters.slice(at).join("") });
  return pieces;
}

/** A block with the text in it, white space kept; `slots` has each type's colour. */
export function renderMarks(text, entities, slots) {
  const children = cutText(text, entities).map(({ text: part, entity }) =>
    entity === undefined ? part : renderMark(part, entity, slots.get(entity.label)),
  );
  return make("div", { class: "text", dir: directionOf(text) }, ...children);
}

function renderMark(part, { label, probability }, slot) {
  const said = `${label}, ${formatPercent(probability)}`;
  return make(
    "mark",
    { class: slot, role: "note", tabindex: "0", title: said, "aria-label": `${part}: ${said}`, "data-said": said },
    make("bdi", {}, part),
    make("bdi", { class: "type" }, label),
  );
}

/** Which colours mean what, and how often each type is there. */
export function renderLegend(entities, slots) {
  const counts = new Map();
  for (const { label } of entities) counts.set(label, (counts.get(label) ?? 0) + 1);
  const items = [...counts.keys()].sort().map((label) =>
    make(
      "li",
      {},
      make("span", { class: `swatch ${slots.get(label)}` }),
      make("bdi", {}, label),
      " ",
      make("span", { class: "count" }, String(counts.get(label))),
    ),
  );
  return make("ul", { class: "legend", "aria-label": "Types found" }, ...items);
}

/** The marked text, what its colours mean, and a line for the mark that is pointed at. */
export function renderEntities(text, entities, slots) {
  const marked = renderMarks(text, entities, slots);
  if (!entities.length) return [marked];
  const detail = make("p", { class: "note detail" }, "Point at a mark, or go through them with the Tab key.");
  const tell = (event) => {
    const mark = event.target.closest("mark");
    if (mark) detail.replaceChildren(make("bdi", {}, mark.firstChild.textContent), ": ", make("bdi", {}, mark.dataset.said));
  };
  marked.addEventListener("pointerover", tell);
  marked.addEventListener("focusin", tell);
  return [marked, renderLegend(entities, slots), detail];
}
