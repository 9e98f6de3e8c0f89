// The box that shows a request as code, and copies it.

import { byId, shorten } from "./dom.js";
import { LANGUAGES } from "./snippets.js";

const MAX_SHOWN = 4000; // characters; what is copied is whole

/** Shows the last request. */
export class Code {
  #request = null;

  constructor() {
    for (const choice of document.querySelectorAll("[name=language]")) choice.addEventListener("change", () => this.#show());
    byId("copy").addEventListener("click", () => this.#copy());
  }

  /** `request` is what `LANGUAGES` take; null hides the box.  `note` says what the code leaves out. */
  set(request, note = "") {
    this.#request = request;
    byId("code").hidden = request === null;
    byId("copied").textContent = note;
    if (request !== null) this.#show();
  }

  get #text() {
    return LANGUAGES[document.querySelector("[name=language]:checked").value](this.#request);
  }

  #show() {
    byId("snippet").textContent = shorten(this.#text, MAX_SHOWN);
  }

  async #copy() {
    byId("copied").textContent = (await copyText(this.#text)) ? "Copied." : "This browser did not let the page copy; mark the code and copy it.";
  }
}

/** Whether it was copied.  The clipboard's own interface is there only on https and localhost. */
async function copyText(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text).then(() => true, () => false);
  const field = document.createElement("textarea");
  field.value = text;
  field.className = "aside";
  document.body.append(field);
  field.select();
  const isCopied = document.execCommand("copy");
  field.remove();
  return isCopied;
}
