// Puts the region editor into Chunk Mask and Region.
import { api } from "../../scripts/api.js";
import { app } from "../../scripts/app.js";
import { eachOutput, place, root, whenExecuted } from "./dom.js";
import { RegionEditor } from "./editor.js";
import { HEIGHT } from "./face.js";
import { executionId, signatureOf } from "./sources.js";
import { learnWords } from "./words.js";

const [MASK, REGION] = ["AceGraphChunkMask", "AceGraphRegion"];
const LOOK = 250; // milliseconds between looks at what has changed
const editors = new Map(); // node -> its editor
let timer = 0;

function addEditor(node) {
  const editor = new RegionEditor(node);
  place(node, "acegraph_region", editor.element, { getMinHeight: () => HEIGHT }, () => {
    editor.remove();
    editors.delete(node);
    if (!editors.size) timer = clearInterval(timer);
  });
  if (node.comfyClass === REGION) {
    editor.onload = () => app.queuePrompt(0, 1, [executionId(node, root())]);
    whenExecuted(node, (output) => show(node, output, node.acegraphQueued ?? null));
  }
  editors.set(node, editor);
  timer ||= setInterval(() => editors.forEach((one) => document.hidden || one.tick()), LOOK);
  learnWords().then(() => editor.speak());
  const [width, height] = node.computeSize();
  node.setSize([Math.max(node.size[0], width, 360), Math.max(node.size[1], height)]);
}

function show(node, output, signature) {
  const editor = editors.get(node);
  if (!editor || !output?.acegraph_wave) return;
  const { wave } = editor.own;
  const same = wave && JSON.stringify(wave.items) === JSON.stringify(output.acegraph_wave); // told again after undo
  editor.own.wave = { items: output.acegraph_wave, signature: signature ?? (same ? wave.signature : null) };
  editor.tick();
  editor.later(); // of another batch the first song may be the same
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
    if ([MASK, REGION].includes(node.comfyClass)) addEditor(node);
  },

  onNodeOutputsUpdated(outputs) {
    eachOutput(outputs, (node, output) => show(node, output, null));
  },
});
