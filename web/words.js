// What our widgets say: the words of locales/<language>/main.json.
import { api } from "../../scripts/api.js";
import { app } from "../../scripts/app.js";

let translations; // language -> main.json, once somebody has asked
let words = {};

const language = () => app.extensionManager.setting.get("Comfy.Locale") || "en";

// In the language of ComfyUI's settings or else in English. Another language loads the graph anew, and they are learned again.
export async function learnWords() {
  translations ??= api.getCustomNodesI18n().catch(() => ({}));
  const known = await translations;
  words = { ...known.en?.acestepgraph, ...known[language()]?.acestepgraph };
}

// A word or, with its gaps filled, a sentence; nothing before they are learned. word("songOf", 3, 4) is "Song 3 of 4".
export const word = (name, ...values) => (words[name] ?? "").replace(/%(\d)/g, (gap, place) => values[place - 1] ?? gap);

// A number as it is written there.
export function figure(value, digits = 0) {
  return new Intl.NumberFormat(language(), { minimumFractionDigits: digits, maximumFractionDigits: digits }).format(value);
}
