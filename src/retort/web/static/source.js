// What is to be predicted: what stands in the fields, each line of them, or the rows of a file.

import { decode, readTable, splitLines } from "./csv.js";
import { byId, directionOf, make } from "./dom.js";

const MAX_FILE_BYTES = 64 << 20;

/** The fields of the form.  `onChange(isTyping)` is called when they, or the file, changed. */
export class Source {
  #file = null; // {name, lines} or {name, table}
  #fault = null; // of the file that was chosen last

  constructor(onChange) {
    this.onChange = onChange;
    this.text = byId("text");
    this.pair = byId("text-pair");
    this.isPair = byId("is-pair");
    this.isLines = byId("is-lines");
    for (const field of [this.text, this.pair]) {
      field.addEventListener("input", () => {
        field.dir = directionOf(field.value);
        this.#change(true);
      });
    }
    for (const field of [this.isPair, this.isLines, byId("column"), byId("pair-column")]) {
      field.addEventListener("change", () => this.#change(false));
    }
    byId("file").addEventListener("change", ({ target }) => this.#take(target.files));
    byId("file-remove").addEventListener("click", () => this.#drop());
    this.#watchDrops(byId("ask"));
    for (const id of ["lines-switch", "file-button"]) byId(id).hidden = false;
  }

  /** Whether there is a table to show rather than one answer. */
  get isMany() {
    return this.#file !== null || this.isLines.checked;
  }

  /** Say whether this model can compare two texts. */
  allowPairs(isAllowed) {
    byId("pair-switch").hidden = !isAllowed;
    if (!isAllowed) this.isPair.checked = false;
  }

  /** Texts, or pairs of texts; none where nothing was written.  Throws an Error with a sentence. */
  collect() {
    if (this.#fault) throw this.#fault;
    if (this.#file?.table) return this.#collectRows(this.#file.table);
    if (this.#file) return this.#file.lines;
    const texts = this.isLines.checked ? splitLines(this.text.value) : [this.text.value].filter((text) => text.trim());
    if (!this.isPair.checked || !texts.length) return texts;
    const seconds = this.isLines.checked ? splitLines(this.pair.value) : [this.pair.value].filter((text) => text.trim());
    if (!seconds.length) return [];
    if (texts.length !== seconds.length) {
      throw new Error(`The fields hold ${texts.length} and ${seconds.length} lines; each text needs a second one.`);
    }
    return texts.map((text, i) => [text, seconds[i]]);
  }

  #collectRows({ rows }) {
    const first = Number(byId("column").value);
    const filled = rows.filter((row) => (row[first] ?? "").trim());
    if (!this.isPair.checked) return filled.map((row) => row[first]);
    const second = Number(byId("pair-column").value);
    if (first === second) throw new Error("Both texts come from one column; choose another for the second text.");
    return filled.map((row) => [row[first], row[second] ?? ""]);
  }

  async #take(files) {
    const [file] = files;
    if (!file) return;
    let fault = null;
    try {
      if (file.size > MAX_FILE_BYTES) throw new Error("This file is too long for a page. Score it with: retort predict FILE");
      this.#show(file.name, decode(await file.arrayBuffer()));
    } catch (error) {
      fault = error;
    }
    byId("file").value = ""; // so that the same one can be chosen again
    this.#change(false, fault);
  }

  /** What was wrong with an older file is forgotten. */
  #change(isTyping, fault = null) {
    this.#fault = fault;
    this.onChange(isTyping);
  }

  #show(name, text) {
    if (/\.(csv|tsv)$/i.test(name)) return this.#showTable(name, readTable(text));
    const lines = splitLines(text);
    return this.#showFile({ name, lines }, lines.length);
  }

  #showTable(name, table) {
    for (const [id, chosen] of [["column", table.column], ["pair-column", table.pair]]) {
      byId(id).replaceChildren(...table.names.map((title, i) => make("option", { value: String(i), selected: i === chosen }, title)));
    }
    if (table.pair >= 0 && !byId("pair-switch").hidden) this.isPair.checked = true;
    byId("columns").hidden = table.names.length < 2;
    this.#showFile({ name, table }, table.rows.length);
  }

  #showFile(file, n) {
    this.#file = file;
    byId("columns").hidden ||= !file.table;
    byId("file-name").textContent = `${file.name} (${n.toLocaleString("en")} ${file.table ? "rows" : "lines"})`;
    this.#showFields(false);
    byId("file-remove").focus();
  }

  #drop() {
    this.#file = null;
    byId("columns").hidden = true;
    this.#showFields(true);
    this.text.focus();
    this.#change(false);
  }

  #showFields(areShown) {
    byId("file-field").hidden = areShown;
    for (const id of ["text-field", "pair-field", "lines-switch"]) byId(id).hidden = !areShown;
  }

  #watchDrops(area) {
    const isFile = (event) => event.dataTransfer?.types.includes("Files");
    area.addEventListener("dragover", (event) => {
      if (!isFile(event)) return;
      event.preventDefault();
      area.classList.add("dropping");
    });
    for (const name of ["dragleave", "drop"]) area.addEventListener(name, () => area.classList.remove("dropping"));
    area.addEventListener("drop", (event) => {
      if (!isFile(event)) return;
      event.preventDefault();
      this.#take(event.dataTransfer.files);
    });
  }
}
