// Puts the region editor into Chunk Mask and Region.
import { api } from "../../scripts/api.js";
import { app } from "../../scripts/app.js";
import { RegionEditor } from "./editor.js";
import { HEIGHT } from "./face.js";
import { nodeAt, signatureOf } from "./sources.js";
import { playerWords } from "./words.js";

const NODES = ["AceGraphChunkMask", "AceGraphRegion"];
const LOOK = 250; // milliseconds between looks at what has changed
const editors = new Map(); // node -> its editor
let timer = 0;

const root = () => app.rootGraph ?? app.graph;

function addEditor(node) {
  const editor = new RegionEditor(node);
  const widget = node.addDOMWidget("acegraph_region", "ACEGRAPH_REGION", editor.element, {
    serialize: false,
    hideOnZoom: false,
    getMinHeight: () => HEIGHT,
  });
  widget.serialize = false;
  const onRemove = widget.onRemove;
  widget.onRemove = function () {
    onRemove?.apply(this, arguments);
    editor.remove();
    editors.delete(node);
    if (!editors.size) timer = clearInterval(timer);
  };
  if (node.comfyClass === NODES[1]) {
    editor.onload = () => app.queuePrompt(0, 1, [executionId(node)]);
    const onExecuted = node.onExecuted;
    node.onExecuted = function (output) {
      onExecuted?.apply(this, arguments);
      show(this, output, this.acegraphQueued ?? null);
    };
  }
  editors.set(node, editor);
  timer ||= setInterval(() => editors.forEach((one) => document.hidden || one.tick()), LOOK);
  playerWords().then((words) => editor.speak(words));
  const [width, height] = node.computeSize();
  node.setSize([Math.max(node.size[0], width, 360), Math.max(node.size[1], height)]);
}

// Where a node is for the server: the ids of the boxes around it, and its own.
function executionId(node, graph = root()) {
  if (node.graph === graph) return String(node.id);
  for (const box of graph.nodes) {
    const inner = box.subgraph && executionId(node, box.subgraph);
    if (inner) return `${box.id}:${inner}`;
  }
  return "";
}

function show(node, output, signature) {
  const editor = editors.get(node);
  if (!editor || !output?.acegraph_wave) return;
  const { wave } = editor.own;
  const same = wave && JSON.stringify(wave.items) === JSON.stringify(output.acegraph_wave); // told again after undo
  editor.own.wave = { items: output.acegraph_wave, signature: signature ?? (same ? wave.signature : null) };
  editor.tick();
}

app.registerExtension({
  name: "acestepgraph.region",

  // What comes back while several prompts wait may be of any of them, and is shown as that of a run before.
  setup() {
    let waiting = 0;
    api.addEventListener("status", ({ detail }) => (waiting = detail?.exec_info?.queue_remaining ?? 0));
    api.addEventListener("promptQueued", () => editors.forEach((_, node) => (node.acegraphQueued = waiting > 1 ? null : signatureOf(node, root()))));
  },

  nodeCreated(node) {
    if (NODES.includes(node.comfyClass)) addEditor(node);
  },

  // Another workflow tab was opened, or a finished run was taken from the history.
  onNodeOutputsUpdated(outputs) {
    for (const [locator, output] of Object.entries(outputs)) {
      if (output?.acegraph_wave) show(nodeAt(locator, root()), output, null);
    }
  },
});
