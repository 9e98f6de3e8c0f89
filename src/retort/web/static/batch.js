// Many texts are asked in requests that the server takes, one after the other.

import { pause } from "./api.js";

const N_TEXTS = 64;
const MAX_BYTES = 1 << 18; // a request: small enough that progress shows and a cancel is felt

/**
 * A result for each item, in their order: `{prediction, probability, top, truncated}` or `{error}`.
 *
 * `onProgress(results)` hears of every answer.  Throws what `api.ask` throws, but waits where the server is busy, and
 * sends items that are refused together one by one.
 */
export async function predictAll(api, path, items, { topK, limits, signal, onProgress }) {
  const results = [];
  const waiting = cutChunks(items, limits).reverse();
  while (waiting.length) {
    const chunk = waiting.pop();
    try {
      const body = topK === undefined ? { x: chunk } : { x: chunk, top_k: topK };
      results.push(...readResults(await api.ask(path, { body, signal })));
    } catch (error) {
      if (error.retryAfterS !== undefined) {
        onProgress(results, error.message);
        await pause(error.retryAfterS, signal);
        waiting.push(chunk);
        continue;
      }
      if (![413, 422, 500].includes(error.status)) throw error;
      if (chunk.length === 1) results.push({ error: error.message });
      else waiting.push(chunk.slice(chunk.length >> 1), chunk.slice(0, chunk.length >> 1));
    }
    onProgress(results);
  }
  return results;
}

/** What a response says of each of its texts. */
export function readResults({ model, predictions, probabilities, top, usage, errors = [] }) {
  const faults = new Map(errors.map(({ index, error }) => [index, error]));
  return predictions.map((prediction, i) =>
    faults.has(i)
      ? { error: faults.get(i) }
      : { model, prediction, probability: probabilities?.[i], top: top?.[i], truncated: usage?.[i]?.truncated },
  );
}

/** Items in lists of at most so many texts and characters as a request should hold. */
export function cutChunks(items, { maxTexts, maxBytes }) {
  const nTexts = Math.max(1, Math.min(N_TEXTS, maxTexts));
  const nBytes = Math.min(MAX_BYTES, maxBytes);
  const chunks = [];
  let size = Infinity;
  for (const item of items) {
    const length = 3 * [item].flat().reduce((sum, text) => sum + text.length, 0) + 8; // UTF-8 of a UTF-16 unit: 3 at most
    if (size + length > nBytes || chunks.at(-1).length >= nTexts) {
      chunks.push([]);
      size = 0;
    }
    chunks.at(-1).push(item);
    size += length;
  }
  return chunks;
}
