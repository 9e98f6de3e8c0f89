// What answers of each kind look like: one of them, many in a table, and all as CSV.

import { renderBars, sayLabels } from "./bars.js";
import { formatPercent, make, shorten } from "./dom.js";
import { countEntities, renderEntities, renderLegend, renderMarks } from "./entities.js";

const N_BARS = 10;
const MAX_CELL = 300; // characters of a text in a table; the export has all of it

const pairOf = (item) => (Array.isArray(item) ? item : [item]);
const failed = (row) => make("span", { class: "fault" }, row.result.error);
const number = { title: "#", value: (row) => row.index, cell: (row) => String(row.index + 1), isNumber: true };
const textColumn = (title, i) => ({
  title,
  value: (row) => pairOf(row.item)[i],
  cell: (row) => make("bdi", {}, shorten(pairOf(row.item)[i], MAX_CELL)),
  isText: true,
});
const textColumns = (isPair) => (isPair ? [textColumn("First text", 0), textColumn("Second text", 1)] : [textColumn("Text", 0)]);
const textNames = (isPair) => (isPair ? ["text", "text_pair"] : ["text"]);

/** Labels, of a text or of a pair. */
const LABELS = {
  takesPairs: true,
  topK: (model, wantsAll) => (wantsAll ? model.n_labels : Math.min(model.n_labels, N_BARS)),
  say: ({ prediction, probability }) => sayLabels(prediction, probability),
  render: (item, { top, prediction }) => [renderBars(top, prediction)],
  legend: () => [],
  columns: (isPair) => [
    number,
    ...textColumns(isPair),
    {
      title: "Label",
      value: ({ result }) => [result.prediction ?? "\uffff"].flat().join(", "),
      cell: (row) => ("error" in row.result ? failed(row) : make("bdi", {}, [row.result.prediction].flat().join(", ") || "none")),
    },
    {
      title: "Probability",
      value: ({ result }) => [result.probability ?? -1].flat()[0] ?? 0,
      cell: ({ result }) => [result.probability ?? []].flat().map(formatPercent).join(", "),
      isNumber: true,
    },
  ],
  csv: (items, results, isPair) => [
    [...textNames(isPair), "prediction", "probability", "error"],
    ...items.map((item, i) => {
      const { prediction = "", probability = "", error = "" } = results[i];
      const plain = (value) => (Array.isArray(value) ? JSON.stringify(value) : value);
      return [...pairOf(item), plain(prediction), plain(probability), error];
    }),
  ],
};

/** Entities in a text. */
const ENTITIES = {
  takesPairs: false,
  topK: () => undefined,
  say: ({ prediction }) => countEntities(prediction.length),
  render: (item, { prediction }, slots) => renderEntities(item, prediction, slots),
  legend: (results, slots) => [renderLegend(results.flatMap(({ prediction = [] }) => prediction), slots)],
  columns: (isPair, slots) => [
    number,
    {
      ...textColumn("Text", 0),
      cell: (row) => ("error" in row.result ? make("bdi", {}, shorten(row.item, MAX_CELL)) : renderMarks(row.item, row.result.prediction, slots)),
    },
    {
      title: "Entities",
      value: ({ result }) => result.prediction?.length ?? -1,
      cell: (row) => ("error" in row.result ? failed(row) : String(row.result.prediction.length)),
      isNumber: true,
    },
  ],
  csv: (items, results) => [
    ["row", "text", "label", "entity", "start", "end", "probability", "error"],
    ...items.flatMap((item, i) => {
      const { prediction = [], error = "" } = results[i];
      // The text on its first row alone: a long one with thousands of entities would fill the browser's memory.
      const found = prediction.map(({ label, text, start, end, probability }, n) => [i + 1, n ? "" : item, label, text, start, end, probability, ""]);
      return found.length ? found : [[i + 1, item, "", "", "", "", "", error]];
    }),
  ],
};

const VIEWS = { label: LABELS, labels: LABELS, entities: ENTITIES };

/** The view of a model, as `GET /models` describes it. */
export const viewOf = (model) => VIEWS[model.answers];

/** The results of `items`, in the form that `renderTable` takes. */
export const rowsOf = (items, results) => results.map((result, index) => ({ index, item: items[index], result }));
