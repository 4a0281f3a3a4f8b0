// Says "auto" where a number stands for it, and lets a new Load ACE-Step begin with the model that was used last.
import { api } from "../../scripts/api.js";
import { app } from "../../scripts/app.js";
import { root } from "./dom.js";
import { learnWords, word } from "./words.js";

const SAMPLING = ["steps", "guidance", "shift"];
const FIGURES = ["bpm", "duration"];
// Widgets in which 0 stands for auto.
const AUTO_AT_ZERO = {
  AceGraphSampler: SAMPLING,
  AceGraphEdit: SAMPLING,
  AceGraphEncodeConditions: FIGURES,
  AceGraphPlan: FIGURES,
  AceGraphFormat: FIGURES,
  AceGraphInspire: ["duration"],
  AceGraphComposeCodes: FIGURES,
  AceGraphToModel: ["shift"],
  AceGraphLyricTimes: ["steps"],
  AceGraphScoreTakes: ["steps"],
  AceGraphLoadAdapter: ["alpha"],
  AceGraphRegion: ["bpm"],
};
const PREFIX = "AceGraph";
const LOADER = "AceGraphLoad";
const LAST_MODEL = "acestepgraph.lastModel";

const auto = () => word("auto") || "auto";

function propertyOf(object, name) {
  return object ? (Object.getOwnPropertyDescriptor(object, name) ?? propertyOf(Object.getPrototypeOf(object), name)) : undefined;
}

// On the canvas the value itself reads "auto". Nodes as HTML hold a number field, so there the label says it.
function sayAuto(widget) {
  const shown = propertyOf(widget, "_displayValue");
  if (shown?.get) {
    Object.defineProperty(widget, "_displayValue", {
      configurable: true,
      get() {
        return Number(this.value) === 0 && !this.computedDisabled ? auto() : shown.get.call(this);
      },
    });
  }
  if (LiteGraph.vueNodesMode) widget.label = `${widget.label ?? widget.name} (0: ${auto()})`;
}

function lastModel() {
  try {
    return localStorage.getItem(LAST_MODEL);
  } catch {
    return null; // where a browser keeps nothing
  }
}

function remember(graph) {
  for (const node of graph?.nodes ?? []) {
    remember(node.subgraph);
    const model = node.comfyClass === LOADER && node.mode === 0 && node.widgets?.find((w) => w.name === "model")?.value;
    try {
      if (model) localStorage.setItem(LAST_MODEL, model);
    } catch {
      return;
    }
  }
}

// The newest frontend shows widgets of a subgraph on its node under their identifiers; they get their names.
function nameBox(node) {
  for (const [place, input] of (node.subgraph?.inputs ?? []).entries()) {
    const link = node.subgraph.links?.get?.(input.linkIds?.[0]);
    const inner = link && node.subgraph.getNodeById(link.target_id);
    const slot = inner?.inputs?.[link.target_slot];
    const source = inner?.widgets?.find((w) => w.name === slot?.widget?.name);
    const shown = node.widgets?.find((w) => w.name === (node.inputs[place]?.widget?.name ?? input.name));
    const isValue = inner?.comfyClass?.startsWith("Primitive"); // which is called after its node
    const label = isValue ? inner.title : inner?.comfyClass?.startsWith(PREFIX) && source?.label;
    if (!label || !shown || (shown.label ?? shown.name) !== shown.name) continue;
    shown.label = label;
  }
}

function nameBoxes(graph) {
  for (const node of graph?.nodes ?? []) {
    nameBox(node);
    nameBoxes(node.subgraph);
  }
}

app.registerExtension({
  name: "acestepgraph.widgets",

  setup() {
    api.addEventListener("promptQueued", () => remember(root()));
  },

  beforeConfigureGraph: learnWords,

  afterConfigureGraph() {
    nameBoxes(root());
  },

  // A workflow's own values come afterwards and go before.
  nodeCreated(node) {
    if (node.subgraph) setTimeout(() => nameBox(node), 100); // a blueprint, which gets its widgets after this
    for (const widget of node.widgets ?? []) {
      if (AUTO_AT_ZERO[node.comfyClass]?.includes(widget.name)) sayAuto(widget);
    }
    if (node.comfyClass !== LOADER) return;
    const model = node.widgets?.find((w) => w.name === "model");
    const last = lastModel();
    if (model && last && model.options.values?.includes?.(last)) model.value = last;
  },
});
