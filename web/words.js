// What our widgets say: the words of locales/<language>/main.json.
import { api } from "../../scripts/api.js";
import { app } from "../../scripts/app.js";

let translations; // language -> main.json, once somebody has asked

export function language() {
  return app.extensionManager.setting.get("Comfy.Locale") || "en";
}

// In the language of ComfyUI's settings or else in English. Another language loads the graph anew.
export async function playerWords() {
  translations ??= api.getCustomNodesI18n().catch(() => ({}));
  const known = await translations;
  return { ...known.en?.acestepgraph, ...known[language()]?.acestepgraph };
}

// A sentence with its gaps filled: filled("Song %1 of %2", 3, 4).
export function filled(sentence, ...values) {
  return (sentence ?? "").replace(/%(\d)/g, (gap, place) => values[place - 1] ?? gap);
}

// A number as it is written there.
export function figure(value, digits = 0) {
  return new Intl.NumberFormat(language(), { minimumFractionDigits: digits, maximumFractionDigits: digits }).format(value);
}
