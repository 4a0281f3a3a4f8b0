// Puts the region editor into Chunk Mask and Region.
import { api } from "../../scripts/api.js";
import { app } from "../../scripts/app.js";
import { eachOutput, fit, place, root, whenExecuted } from "./dom.js";
import { RegionEditor } from "./editor.js";
import { HEIGHT } from "./face.js";
import { REGION, executionId, signatureOf } from "./sources.js";
import { learnWords } from "./words.js";

const MASK = "AceGraphChunkMask";
const LOOK = 250; // milliseconds between looks at what has changed
const editors = new Map(); // node -> its editor
let timer = 0;
let waiting = 0;

// One that fails keeps no other one from its news.
const each = (act) => editors.forEach((editor, node) => queueMicrotask(() => act(editor, node)));

function addEditor(node) {
  const editor = new RegionEditor(node);
  const gone = () => {
    editor.remove();
    editors.delete(node);
    if (!editors.size) timer = clearInterval(timer);
  };
  const widget = place(node, "acegraph_region", editor.element, gone, () => HEIGHT);
  if (node.comfyClass === REGION) {
    editor.onload = () => app.queuePrompt(0, 1, [executionId(node, root())]);
    // A short run may be over before the page hears that it was queued: its sound is early, and signed then.
    widget.beforeQueued = () => Object.assign(editor.own, { queued: waiting ? null : undefined, early: false });
    whenExecuted(node, (output) => {
      show(node, output, editor.own.queued ?? null);
      editor.own.early = editor.own.queued === undefined;
    });
  }
  editors.set(node, editor);
  timer ||= setInterval(() => document.hidden || each((one) => one.tick()), LOOK);
  learnWords().then(() => editor.speak());
  fit(node, 360);
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
    api.addEventListener("status", ({ detail }) => (waiting = detail?.exec_info?.queue_remaining ?? 0));
    api.addEventListener("promptQueued", () =>
      each(({ own }, node) => {
        own.queued = waiting > 1 ? null : signatureOf(node, root());
        if (own.early && own.wave) own.wave.signature = own.queued;
      }),
    );
  },

  nodeCreated(node) {
    if ([MASK, REGION].includes(node.comfyClass)) addEditor(node);
  },

  onNodeOutputsUpdated(outputs) {
    eachOutput(outputs, (node, output) => show(node, output, null));
  },
});
