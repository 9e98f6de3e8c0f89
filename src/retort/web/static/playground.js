// The page: what is written becomes a request as soon as its writer pauses, and the answer is shown.

import { Api } from "./api.js";
import { cutChunks, predictAll, readResults } from "./batch.js";
import { Code } from "./code.js";
import { writeCsv } from "./csv.js";
import { byId, make } from "./dom.js";
import { Models, save } from "./models.js";
import { Source } from "./source.js";
import { renderTable } from "./table.js";
import { rowsOf, viewOf } from "./views.js";

const PAUSE_MS = 300;

const { hasKeys, maxTexts, maxBytes } = byId("playground").dataset;
const limits = { maxTexts: Number(maxTexts), maxBytes: Number(maxBytes) };
const api = new Api();
const code = new Code();
const models = new Models(api, () => ask());
const source = new Source((isTyping) => (isTyping ? askSoon() : ask()));
let running = new AbortController();
let timer;

/** Ask once nothing was typed for a moment. */
function askSoon() {
  stop();
  timer = setTimeout(ask, PAUSE_MS);
}

/** No answer to an older question is shown any more. */
function stop() {
  clearTimeout(timer);
  running.abort();
  byId("progress").hidden = true;
  byId("shown").classList.add("stale");
}

/** Ask now. */
async function ask(wantsAll = false) {
  stop();
  const { signal } = (running = new AbortController());
  try {
    if (models.chosen === undefined) return await start();
    const view = viewOf(models.chosen);
    source.allowPairs(view.takesPairs);
    const items = source.collect();
    if (!items.length) return show({ hint: source.isMany ? "Each text gets a row here." : "The answer appears here." });
    await (source.isMany ? askMany(view, items, signal) : askOne(view, items, wantsAll, signal));
  } catch (error) {
    if (signal.aborted) return undefined;
    refuse(error);
    if (error.retryAfterS !== undefined) timer = setTimeout(() => ask(wantsAll), error.retryAfterS * 1000);
  }
  return undefined;
}

async function askOne(view, items, wantsAll, signal) {
  const model = models.chosen;
  const topK = view.topK(model, wantsAll);
  const body = topK === undefined ? { x: items } : { x: items, top_k: topK };
  const [response, slots] = await Promise.all([api.ask(models.path, { body, signal }), slotsOf(view, signal)]);
  if (signal.aborted) return;
  const [result] = readResults(response);
  const children = view.render(items[0], result, slots);
  if (topK < model.n_labels) children.push(button(`Show all ${model.n_labels} labels`, () => ask(true)));
  if (result.truncated) children.push(note("The text is longer than the model reads; its end was left out."));
  children.push(note(`Answered by ${response.model}`));
  show({ sentence: view.say(result), children });
  code.set({ address: api.address(models.path), body, hasKey: api.key !== "" });
}

async function askMany(view, items, signal) {
  const isPair = source.isPair.checked;
  const slots = await slotsOf(view, signal);
  const onProgress = (results, waits = "") => {
    if (!signal.aborted) showProgress(results.length, items.length, waits);
  };
  onProgress([]);
  const { path } = models;
  const results = await predictAll(api, path, items, { limits, signal, onProgress });
  if (signal.aborted) return;
  const nFailed = results.filter((result) => "error" in result).length;
  const sentence = `${count(items.length, "text")} predicted${nFailed ? `, ${nFailed.toLocaleString("en")} refused` : ""}.`;
  const toolbar = make("div", { class: "toolbar" }, note(`Answered by ${models.chosen.model}`));
  toolbar.append(button("Export as CSV", () => save(new Blob(["\ufeff", writeCsv(view.csv(items, results, isPair))], { type: "text/csv" }), "predictions.csv")));
  show({ sentence, children: [toolbar, ...view.legend(results, slots), renderTable(view.columns(isPair, slots), rowsOf(items, results))] });
  const [first] = cutChunks(items, limits);
  const left = items.length > first.length ? `The code asks for the first ${first.length} texts.` : "";
  code.set({ address: api.address(path), body: { x: first }, hasKey: api.key !== "" }, left);
}

const slotsOf = (view, signal) => (view.takesPairs ? new Map() : models.loadSlots(signal));
const note = (text) => make("p", { class: "note" }, text);
const count = (n, word) => `${n.toLocaleString("en")} ${word}${n === 1 ? "" : "s"}`;

function button(title, onClick) {
  const made = make("button", { type: "button", class: "quiet" }, title);
  made.addEventListener("click", onClick);
  return made;
}

/** Put one thing in the place of the answer, and nothing else. */
function show({ sentence = "", fault = "", hint = "", children = [] }) {
  byId("status").replaceChildren(make("bdi", {}, sentence));
  byId("fault").textContent = fault;
  byId("hint").textContent = hint;
  byId("hint").hidden = !hint;
  byId("progress").hidden = true;
  byId("shown").classList.remove("stale");
  byId("shown").replaceChildren(...children);
  if (!children.length) code.set(null);
}

function showProgress(nDone, n, waits) {
  byId("progress").hidden = false;
  byId("done").max = n;
  byId("done").value = nDone;
  byId("hint").hidden = false;
  byId("hint").textContent = waits || `${nDone.toLocaleString("en")} of ${count(n, "text")}`;
  byId("fault").textContent = "";
}

/** Say what is wrong and what to do. */
function refuse(error) {
  if (error.status === 401) byId("key-field").hidden = false;
  const isOurs = error.status === undefined && error.constructor !== Error;
  if (isOurs) console.error(error);
  show({ fault: isOurs ? "Something went wrong in this page; load it again." : error.message });
}

/** Learn which models there are, then answer what stands in the fields already. */
async function start() {
  stop();
  const { signal } = (running = new AbortController());
  try {
    await models.load((sentence) => show({ hint: sentence }), signal);
  } catch (error) {
    return signal.aborted ? undefined : refuse(error);
  }
  return models.chosen === undefined ? undefined : ask();
}

byId("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  ask();
});
byId("ask").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) ask();
});
byId("cancel").addEventListener("click", () => {
  stop();
  show({ hint: "Cancelled. Press Predict to begin anew." });
});
byId("key").addEventListener("input", ({ target }) => {
  stop();
  api.key = target.value.trim();
  timer = setTimeout(start, PAUSE_MS);
});

if (hasKeys === "true") {
  byId("key-field").hidden = false;
  show({ hint: "This server asks for an API key. Enter yours." });
} else {
  start();
}
