// Lets a song be heard in its Sampler while it is sampled: excerpts loop, each new one in place of the one before. Nothing
// sounds before somebody has switched it on.
import { api } from "../../scripts/api.js";
import { app } from "../../scripts/app.js";
import { make } from "./dom.js";
import { nodesAlong, Run } from "./excerpt.js";
import { columnsOf, reducePeaks, secondsOf } from "./peaks.js";
import { release, takeOver, Voice } from "./sound.js";
import { figure, filled, playerWords } from "./words.js";

const SAMPLER = "AceGraphSampler";
const WIDGET = "acegraph_heard";
const LISTEN = "acestepgraph.listen"; // a setting: whether excerpts are played
const HEIGHT = 36; // pixels
const CROSSFADE = 0.05; // seconds
const RATE = 24000; // at which waves are counted
const LOOK =
  "cursor: pointer; min-height: 24px; padding: 0 8px; border-radius: 6px; color: inherit; " +
  "background: var(--comfy-input-bg, #222); border: 1px solid var(--border-color, #4e4e4e);";
const LOOP = { from: 0, loop: true };

const run = new Run();
const views = new Map(); // node -> what shows it an excerpt
let home = null; // the workflow that was open when the run began
let words = {};

const root = () => app.rootGraph ?? app.graph;
const opened = () => app.extensionManager?.workflow?.activeWorkflow ?? null;
const wanted = () => app.extensionManager.setting.get(LISTEN) === true;

function addressOf({ filename, subfolder, type }) {
  return api.apiURL("/view?" + new URLSearchParams({ filename, subfolder, type }));
}

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
      showAll((view) => view.block(false));
    } catch (fault) {
      if (fault?.name !== "NotAllowedError") return; // the file is gone, and the next one comes
      this.silence(); // the browser wants to be clicked first
      showAll((view) => view.block(true));
      this.yields = true;
    }
  },

  silence() {
    this.file = null;
    for (const voice of this.voices ?? []) voice.stop();
    release(this);
  },

  // Another player begins.
  stop() {
    this.yields = true;
    this.silence();
    showAll((view) => view.listen());
  },
};

function showAll(show) {
  for (const view of views.values()) show(view);
}

const waves = new WeakMap(); // what was told -> its peaks: all views show the same

function waveOf(told) {
  if (!waves.has(told)) waves.set(told, readWave(told));
  return waves.get(told);
}

async function readWave(told) {
  const content = await (await fetch(addressOf(told))).arrayBuffer();
  const sound = await new OfflineAudioContext(1, 1, RATE).decodeAudioData(content);
  return reducePeaks(Array.from({ length: sound.numberOfChannels }, (_, channel) => sound.getChannelData(channel)), sound.sampleRate);
}

// A small row inside of a node: the switch, the wave, the step.
class View {
  constructor(node) {
    this.peaks = null;
    const small = "font-size: 12px; flex: none; white-space: nowrap;";
    const row = `display: flex; gap: 8px; align-items: center; box-sizing: border-box; min-height: ${HEIGHT}px; color: var(--fg-color, #ddd);`;
    this.button = make("button", { className: "acegraph-listen", style: `${small} ${LOOK}`, type: "button", onclick: () => this.toggle() });
    this.canvas = make("canvas", { className: "acegraph-heard-wave", style: "flex: 1; min-width: 0; height: 28px;" });
    this.label = make("span", { className: "acegraph-heard-step", style: small });
    this.box = make("div", { className: "acegraph-heard", style: row }, this.button, this.canvas, this.label);
    this.button.setAttribute("role", "switch");
    this.canvas.setAttribute("role", "img");
    for (const event of ["pointerdown", "pointermove", "pointerup"]) this.box.addEventListener(event, (e) => e.stopPropagation());
    this.watcher = new ResizeObserver(() => this.draw()); // also when a box is opened
    this.watcher.observe(this.canvas);
    this.listen();
    this.place(node);
  }

  place(node) {
    const height = () => HEIGHT;
    const options = { serialize: false, hideOnZoom: false, getMinHeight: height, getMaxHeight: height };
    const widget = node.addDOMWidget(WIDGET, "ACEGRAPH_HEARD", this.box, options);
    widget.serialize = false;
    const onSerialize = node.onSerialize;
    node.onSerialize = function (saved) {
      onSerialize?.apply(this, arguments);
      const listed = saved.properties?.proxyWidgets; // in which older frontends keep a box's own widgets as well
      if (listed) saved.properties.proxyWidgets = listed.filter(([, name]) => name !== WIDGET);
    };
    const onRemove = widget.onRemove;
    widget.onRemove = (...given) => {
      onRemove?.apply(widget, given);
      this.watcher.disconnect();
      views.delete(node);
      if (!views.size) loop.silence();
    };
  }

  toggle() {
    const on = !(wanted() && !loop.yields);
    loop.yields = false;
    app.extensionManager.setting.set(LISTEN, on);
    if (on) loop.follow();
    else loop.silence();
    showAll((view) => view.listen());
  }

  // Whether it is switched on, in words and for eyes.
  listen() {
    const on = wanted() && !loop.yields;
    this.button.textContent = `${on ? "\u25A0" : "\u25B6"} ${words.listen ?? ""}`;
    this.button.setAttribute("aria-checked", String(on));
    this.button.style.fontWeight = on ? "bold" : "normal";
  }

  block(blocked) {
    this.listen();
    if (blocked) this.button.textContent = `\u25B6 ${words.clickToHear ?? ""}`;
  }

  async show(told) {
    this.told = told;
    this.label.textContent = filled(words.heardStep, figure(told.step), figure(told.steps));
    const ends = [told.at, told.at + told.seconds].map((time) => figure(time, 1));
    this.canvas.ariaLabel = this.canvas.title = filled(words.heardExcerpt, ...ends);
    this.box.style.opacity = "1";
    this.listen();
    const peaks = await waveOf(told).catch(() => null);
    if (this.told !== told || !peaks) return;
    this.peaks = peaks;
    this.draw();
  }

  draw() {
    const scale = Math.min(2, window.devicePixelRatio || 1);
    const [width, height] = [this.canvas.clientWidth, this.canvas.clientHeight].map((size) => Math.round(size * scale));
    if (!width || !height || !this.peaks) return;
    Object.assign(this.canvas, { width, height });
    const pen = this.canvas.getContext("2d");
    pen.fillStyle = getComputedStyle(this.box).color;
    const columns = columnsOf(this.peaks, 0, secondsOf(this.peaks), width);
    const loudest = columns.reduce((most, value) => Math.max(most, Math.abs(value)), 0.01); // a rough song is a quiet one
    for (let column = 0; column < width; column++) {
      const [low, high] = [columns[2 * column] / loudest, columns[2 * column + 1] / loudest];
      pen.fillRect(column, ((1 - high) / 2) * height, 1, Math.max(scale, ((high - low) / 2) * height));
    }
  }

  end() {
    this.box.style.opacity = "0.5";
    this.listen();
  }
}

// The Sampler, and the boxes that it lies in, of which one is seen.
function nodesOf(told) {
  const nodes = nodesAlong(root(), told.node);
  return nodes.at(-1)?.comfyClass === SAMPLER ? nodes : [];
}

function show(told) {
  for (const node of nodesOf(told)) {
    if (!views.has(node)) views.set(node, new View(node));
    views.get(node).show(told);
  }
  app.canvas?.setDirty(true, true);
}

async function hear({ detail: told }) {
  if (!run.take(told)) return;
  words = await playerWords();
  if (run.latest !== told || (home && opened() !== home)) return; // another workflow is looked at
  show(told);
  loop.follow();
}

function end({ detail }) {
  if (!run.end(detail?.prompt_id)) return;
  loop.silence();
  loop.yields = false;
  home = null;
  showAll((view) => view.end());
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
