// Lets a song be heard in its Sampler while it is sampled: excerpts loop, each new one in place of the one before. Nothing
// sounds before somebody has switched it on.
import { api } from "../../scripts/api.js";
import { app } from "../../scripts/app.js";
import { addressOf, button, dressed, keepPresses, make, opened, place, root } from "./dom.js";
import { Run } from "./excerpt.js";
import { release, takeOver, Voice } from "./sound.js";
import { soundAt } from "./sounds.js";
import { nodesAlong, queryOf } from "./sources.js";
import { drawWave } from "./wave.js";
import { figure, learnWords, word } from "./words.js";

const SAMPLER = "AceGraphSampler";
const WIDGET = "acegraph_heard";
const LISTEN = "acestepgraph.listen"; // a setting: whether excerpts are played
const HEIGHT = 36; // pixels
const CROSSFADE = 0.05; // seconds
const CSS = `
.acegraph-heard { min-height: ${HEIGHT}px; justify-content: center; }
.acegraph-heard .acegraph-bar { gap: 8px; white-space: nowrap; }
.acegraph-listen { min-height: 24px; padding: 0 8px; flex: none; }
.acegraph-listen[aria-checked=true] { font-weight: bold; }
.acegraph-heard canvas { flex: 1; min-width: 0; height: 28px; }`;
const LOOP = { from: 0, loop: true };

const run = new Run();
const views = new Map(); // node -> what shows it an excerpt
let home = null; // the workflow that was open when the run began

const wanted = () => app.extensionManager.setting.get(LISTEN) === true;

// Two voices: the excerpt that is heard, and the one that takes its place.
const loop = {
  voices: null,
  file: null, // that is heard, or about to be
  busy: false,
  yields: false, // another player was started meanwhile: it is not interrupted until somebody asks again

  // The latest excerpt, if it shall be heard.
  async follow() {
    if (this.busy) return; // it will look again
    this.busy = true;
    try {
      while (run.latest && views.size && wanted() && !this.yields && run.latest.filename !== this.file) await this.next(run.latest);
    } finally {
      this.busy = false;
    }
  },

  async next(told) {
    this.voices ??= [new Voice(this), new Voice(this)];
    const [before, after] = this.voices;
    this.file = told.filename;
    after.load(addressOf(told));
    try {
      const asked = before.playing ? await takeOver(before, after, CROSSFADE) : true;
      if (asked && !after.playing) await after.play(LOOP); // also where the excerpt ended just then
      this.voices.reverse();
      listenAll();
    } catch (fault) {
      if (fault?.name !== "NotAllowedError") return; // the file is gone, and the next one comes
      this.stop(true); // the browser wants to be clicked first
    }
  },

  silence() {
    this.file = null;
    for (const voice of this.voices ?? []) voice.stop();
    release(this);
  },

  // Another player begins.
  stop(blocked) {
    this.yields = true;
    this.silence();
    listenAll(blocked);
  },
};

const listenAll = (blocked) => views.forEach((view) => view.listen(blocked));

// A small row inside of a node: the switch, the wave, the step.
class View {
  constructor(node) {
    this.button = button(() => this.toggle(), { className: "acegraph-listen", role: "switch" });
    this.canvas = make("canvas", { role: "img" });
    this.label = make("span", { className: "acegraph-heard-step" });
    this.box = dressed("acegraph-heard", CSS, make("div", { className: "acegraph-bar" }, this.button, this.canvas, this.label));
    keepPresses(this.box);
    this.watcher = new ResizeObserver(() => this.draw()); // also when a box is opened
    this.watcher.observe(this.canvas);
    this.listen();
    const gone = () => {
      this.watcher.disconnect();
      views.delete(node);
      if (!views.size) loop.silence();
    };
    const height = () => HEIGHT;
    place(node, WIDGET, this.box, gone, height, height);
    const onSerialize = node.onSerialize;
    node.onSerialize = function (saved) {
      onSerialize?.apply(this, arguments);
      const listed = saved.properties?.proxyWidgets; // in which older frontends keep a box's own widgets as well
      if (listed) saved.properties.proxyWidgets = listed.filter(([, name]) => name !== WIDGET);
    };
  }

  toggle() {
    const on = !(wanted() && !loop.yields);
    loop.yields = false;
    app.extensionManager.setting.set(LISTEN, on);
    if (on) loop.follow();
    else loop.silence();
    listenAll();
  }

  // Whether it is switched on, in words and for eyes; blocked: the browser wants to be clicked first.
  listen(blocked = false) {
    const on = wanted() && !loop.yields;
    this.button.textContent = `${on && !blocked ? "\u25A0" : "\u25B6"} ${word(blocked ? "clickToHear" : "listen")}`;
    this.button.ariaChecked = String(on);
  }

  show(told) {
    this.told = told;
    this.label.textContent = word("heardStep", figure(told.step), figure(told.steps));
    this.canvas.ariaLabel = this.canvas.title = word("heardExcerpt", figure(told.at, 1), figure(told.at + told.seconds, 1));
    this.box.style.opacity = "1";
    this.listen();
    this.draw();
  }

  draw() {
    const { told } = this;
    const sound = told && soundAt(queryOf(told), () => this.told === told && this.draw());
    if (sound?.peaks) drawWave(this.canvas, sound.peaks, true); // a rough song is a quiet one
  }

  end() {
    this.box.style.opacity = "0.5";
    this.listen();
  }
}

// In the Sampler, and in the boxes that it lies in, of which one is seen.
function show(told) {
  const nodes = nodesAlong(root(), told.node);
  if (nodes.at(-1)?.comfyClass !== SAMPLER) return;
  for (const node of nodes) {
    if (!views.has(node)) views.set(node, new View(node));
    views.get(node).show(told);
  }
  app.canvas?.setDirty(true, true);
}

async function hear({ detail: told }) {
  if (!run.take(told)) return;
  await learnWords();
  if (run.latest !== told || (home && opened() !== home)) return; // another workflow is looked at
  show(told);
  loop.follow();
}

function end({ detail }) {
  if (!run.end(detail?.prompt_id)) return;
  loop.silence();
  loop.yields = false;
  home = null;
  views.forEach((view) => view.end());
}

api.addEventListener("acegraph.heard", hear); // at once: an event that nobody waits for is logged as unknown
api.addEventListener("execution_start", ({ detail }) => {
  run.start(detail?.prompt_id);
  home = opened();
});
for (const last of ["execution_success", "execution_error", "execution_interrupted"]) api.addEventListener(last, end);

app.registerExtension({
  name: "acestepgraph.heard",
  settings: [{ id: LISTEN, name: "Listen while sampling", type: "hidden", defaultValue: false }],

  // Undo and another language build every node anew.
  afterConfigureGraph() {
    if (run.latest && (!home || opened() === home)) {
      show(run.latest);
      loop.follow();
    }
  },
});
