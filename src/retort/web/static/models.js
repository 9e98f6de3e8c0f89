// The models that answer, and the one that is chosen.

import { pause } from "./api.js";
import { byId, make } from "./dom.js";
import { assignSlots } from "./palette.js";

const KEPT_MS = 60_000; // some browsers read a file that they save only later

const ANSWERS = {
  label: (n) => `one of ${n} labels`,
  labels: (n) => `any of ${n} labels`,
  entities: () => "named entities",
};

const describeAnswers = ({ answers, n_labels: n }) => ANSWERS[answers](n);

/** The field in which one is chosen.  `onChange()` is called when another one is, `onFault(error)` where a document cannot be saved. */
export class Models {
  #models = [];
  #slots = new Map(); // a model's version -> the colours of its types

  constructor(api, onChange, onFault) {
    this.api = api;
    this.onFault = onFault;
    this.select = byId("model");
    this.select.addEventListener("change", () => {
      this.#tell();
      onChange();
    });
    for (const id of ["card", "report"]) byId(id).addEventListener("click", (event) => this.#open(event, id));
  }

  /** The chosen one, as `GET /models` describes it; undefined where none is known. */
  get chosen() {
    return this.#models.find(({ name }) => name === this.select.value);
  }

  /** Where the chosen one predicts. */
  get path() {
    return this.chosen.is_default ? "predict" : `${this.#folder}/predict`;
  }

  get #folder() {
    return `models/${encodeURIComponent(this.chosen.name)}`;
  }

  /** Ask which there are, again while one is being loaded; `onWait(sentence)` hears of that.  Throws Refused. */
  async load(onWait, signal) {
    for (;;) {
      try {
        this.#models = (await this.api.ask("models", { signal })).models;
        break;
      } catch (error) {
        if (error.retryAfterS === undefined) throw error;
        onWait(error.message);
        await pause(error.retryAfterS, signal);
      }
    }
    const before = this.select.value;
    const isThere = this.#models.some(({ name }) => name === before);
    this.select.replaceChildren(
      ...this.#models.map((model) =>
        make("option", { value: model.name, selected: isThere && model.name === before }, `${model.name} · ${describeAnswers(model)}`),
      ),
    );
    this.#tell();
  }

  /** The colours of the chosen model's types. */
  async loadSlots(signal) {
    const { model } = this.chosen;
    if (!this.#slots.has(model)) {
      const { labels } = await this.api.ask(this.#folder, { signal });
      this.#slots.set(model, assignSlots(labels));
    }
    return this.#slots.get(model);
  }

  #tell() {
    byId("about").hidden = this.chosen === undefined;
    if (this.chosen === undefined) return;
    byId("version").textContent = `${this.chosen.model}, reads up to ${this.chosen.max_seq_len} tokens`;
    for (const id of ["card", "report"]) byId(id).href = this.api.address(`${this.#folder}/${id}`);
  }

  /** A link brings no key, so with one the document is fetched and saved. */
  async #open(event, id) {
    if (!this.api.key) return;
    event.preventDefault();
    const name = id === "card" ? `${this.chosen.name}.md` : `${this.chosen.name}.html`;
    try {
      const response = await this.api.fetch(`${this.#folder}/${id}`);
      save(await response.blob(), name);
    } catch (error) {
      this.onFault(error);
    }
  }
}

/** Let the browser save a file. */
export function save(blob, name) {
  const address = URL.createObjectURL(blob);
  make("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), KEPT_MS);
}
