// Requests to the API; whatever goes wrong becomes a sentence that says what to do.

/** `status` 0: no answer came.  `retryAfterS` is undefined where trying again will not help. */
export class Refused extends Error {
  constructor(status, sentence, retryAfterS) {
    super(sentence);
    this.status = status;
    this.retryAfterS = retryAfterS;
  }
}

/** The API as one reader sees it, with a key or without. */
export class Api {
  key = "";

  /** Where a path is, from wherever the page is served. */
  address(path) {
    return new URL(path, document.baseURI).href;
  }

  /** A response that is no error.  Throws Refused; AbortError where `signal` fired. */
  async fetch(path, { body, signal } = {}) {
    const headers = this.key ? { Authorization: `Bearer ${this.key}` } : {};
    const asked = { signal, headers, cache: "no-store" };
    if (body !== undefined) {
      Object.assign(asked, { method: "POST", body: JSON.stringify(body) });
      headers["Content-Type"] = "application/json";
    }
    let response;
    try {
      response = await fetch(this.address(path), asked);
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Refused(0, "The server cannot be reached. Check that it runs and that you are connected, then press Predict.");
    }
    if (!response.ok) throw await this.#refusal(response);
    return response;
  }

  /** The same, read as JSON. */
  async ask(path, options) {
    return (await this.fetch(path, options)).json();
  }

  async #refusal(response) {
    const { status } = response;
    const envelope = await response.json().catch(() => ({}));
    const said = typeof envelope.error === "string" ? envelope.error.replace(/^x\[\d+\]: /, "") : "";
    const retryAfterS = status === 429 || status === 503 ? Number(response.headers.get("Retry-After")) || 1 : undefined;
    const id = envelope.request_id ? ` (request ${envelope.request_id})` : "";
    const soon = `Trying again in ${retryAfterS === 1 ? "a second" : `${retryAfterS} seconds`}.`;
    const sentences = {
      401: this.key ? "The server does not know this API key. Enter another one." : "This server asks for an API key. Enter yours.",
      403: "This API key may not do this. Enter another one.",
      413: `This is more than the server takes at once. Shorten the text. ${said}`,
      429: `The server is busy. ${soon}`,
      503: `The model is still being loaded. ${soon}`,
      504: "The answer took longer than the server allows. Shorten the text, or press Predict to try again.",
    };
    const other = status >= 500 ? `Something went wrong in the server; its log says what${id}.` : said || `The server answered ${status}.`;
    return new Refused(status, (sentences[status] ?? other).trim(), retryAfterS);
  }
}

/** Wait; throws AbortError where `signal` fires first. */
export function pause(seconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, seconds * 1000);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(new DOMException("", "AbortError"));
    });
  });
}
