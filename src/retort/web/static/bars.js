// Labels and their probabilities become bars.

import { formatPercent, make, makeSvg, shorten } from "./dom.js";

const MAX_LABEL = 60; // characters in a sentence; bars have room for all of it

/** A prediction (a label, or a list of them) as a list. */
export const chosenOf = (prediction) => (Array.isArray(prediction) ? prediction : [prediction]);

/** What was predicted, in a sentence. */
export function sayLabels(prediction, probability) {
  const labels = chosenOf(prediction);
  const probabilities = [probability].flat();
  if (!labels.length) return "No label is probable enough.";
  return labels.map((label, i) => `${shorten(label, MAX_LABEL)}, ${formatPercent(probabilities[i])}`).join("; ");
}

/** An <ol> of `top`, a list of `{label, probability}`; what was predicted stands out. */
export function renderBars(top, prediction) {
  const chosen = new Set(chosenOf(prediction));
  const bars = top.map(({ label, probability }) =>
    make(
      "li",
      { class: chosen.has(label) && "chosen" },
      make("bdi", { class: "label" }, label),
      " ",
      make("span", { class: "percent" }, formatPercent(probability)),
      " ",
      makeSvg(
        "svg",
        { class: "bar", "aria-hidden": "true" },
        makeSvg("rect", { width: `${(probability * 100).toFixed(1)}%`, height: "100%" }),
      ),
    ),
  );
  return make("ol", { class: "bars" }, ...bars);
}
