// Plays every song inside Save Audio and Preview Audio: one as a browser does, several as rows that can be compared.
import { api } from "../../scripts/api.js";
import { app } from "../../scripts/app.js";
import { songsOf, stepped, toggled } from "./batch.js";
import { Lyrics } from "./lyrics.js";
import { Pair } from "./pair.js";
import { make } from "./dom.js";
import { Rows } from "./rows.js";
import { sendSeed } from "./seeds.js";
import { claim, release } from "./sound.js";
import { filled, playerWords } from "./words.js";

const NODES = ["AceGraphSaveAudio", "AceGraphPreviewAudio"];
// ComfyUI's own audio code looks for a widget of this name on every node that lists audio files.
const WIDGET = "audioUI";
const PLAYER = 54; // pixels
const [TITLE, GAP] = [30, 12]; // of a node, and between two
const JUMP = 5; // seconds
const STARS = "acegraphFavourites";
const CALM = 250; // milliseconds between two looks, where less motion is wanted

const players = new WeakMap(); // node -> its player
const remembered = new Map(); // graph and node -> what was compared there, for undo makes every node anew

// mark: tells the content, so that a name that had another one before is not played from the browser's memory.
function addressOf({ filename, subfolder, type }, mark = "") {
  return api.apiURL("/view?" + new URLSearchParams({ filename, subfolder: subfolder ?? "", type, t: mark }));
}

const soundOf = ({ file, wave }) => addressOf(file, wave ?? Date.now());

// What was done without the mouse, or after it was let go, becomes a step that can be undone.
function noteStep() {
  const tracker = app.extensionManager.workflow?.activeWorkflow?.changeTracker;
  if (tracker?.captureCanvasState) tracker.captureCanvasState();
  else tracker?.checkState?.();
}

class Player {
  #shown = "[]";

  constructor(node) {
    this.node = node;
    this.songs = [];
    this.tall = PLAYER;
    this.words = {};
    this.audio = make("audio", { controls: true, preload: "metadata" });
    this.audio.style.cssText = "width: 100%; height: 40px; flex: none;";
    this.owner = { stop: () => this.audio.pause() };
    this.audio.addEventListener("play", () => claim(this.owner));
    this.pair = new Pair(soundOf, () => this.#update(), () => this.rows.say(this.words.fileGone ?? ""));
    this.rows = new Rows(this.#acts(), (filename) => addressOf({ filename, type: "temp" }));
    this.lyrics = new Lyrics((time) => (this.songs.length > 1 ? this.pair.seek(time) : (this.audio.currentTime = time)));
    this.audio.ontimeupdate = () => this.#sing();
    this.box = make("div", { className: "acegraph-player" }, this.audio, this.rows.element, this.lyrics.element);
    this.box.style.cssText = "display: flex; flex-direction: column; justify-content: center; box-sizing: border-box;";
    for (const name of ["pointerdown", "pointermove", "pointerup"]) {
      this.box.addEventListener(name, (event) => event.button <= 0 && event.buttons <= 1 && event.stopPropagation());
    }
    this.rows.element.addEventListener("keydown", (event) => this.#pressed(event));
    playerWords().then((words) => {
      this.words = words;
      this.rows.speak(words);
      if (this.songs.length > 1) this.rows.show(this.songs);
      this.#update();
    });
    this.#addWidget();
    this.#layOut();
  }

  #addWidget() {
    const height = () => this.tall;
    const options = { serialize: false, hideOnZoom: false, getMinHeight: height, getMaxHeight: height };
    const widget = this.node.addDOMWidget(WIDGET, "ACEGRAPH_PLAYER", this.box, options);
    widget.serialize = false;
    const onRemove = widget.onRemove;
    widget.onRemove = (...given) => {
      onRemove?.apply(widget, given);
      this.remove();
    };
  }

  get key() {
    return `${this.node.graph?.id}:${this.node.id}`;
  }

  #acts() {
    const { pair } = this;
    return {
      play: () => pair.toggle(),
      swap: () => this.#hear(() => pair.swap()),
      match: () => this.#hear(() => pair.setMatched(!pair.matched)),
      volume: (volume) => pair.setVolume(volume),
      save: () => this.#saveFile(),
      send: () => this.#send(),
      star: (place) => this.#star(place),
      press: (place, other, share) => this.#press(place, other, share),
    };
  }

  // A song is pressed: it is A, or B; in the wave of the one that is heard, it goes on from there.
  #press(place, other, share) {
    const { pair } = this;
    if (other) this.#hear(() => pair.chooseOther(place));
    else if (place === pair.heard && share !== null) pair.seek(share * (this.songs[place].seconds ?? 0));
    else this.#hear(() => pair.choose(place));
  }

  #hear(change) {
    change();
    this.rows.reveal(this.pair.heard);
    this.rows.sayHeard(this.pair);
  }

  #pressed(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { target, key, shiftKey } = event;
    const { pair } = this;
    const own = target !== this.rows.list; // buttons and the slider know Space, Enter and arrows
    if (own && (key === " " || key === "Enter" || (target === this.rows.volume && !/^[a-z*0-9]$/i.test(key)))) return;
    const acts = { " ": () => pair.toggle(), x: () => this.rows.acts.swap(), m: () => this.rows.acts.match(), "*": () => this.#star(pair.heard), s: () => this.#send() };
    const act = acts[key.toLowerCase()];
    const next = stepped(shiftKey && key.startsWith("Arrow") ? `Shift+${key}` : key, pair.heard, this.songs, this.rows.table);
    if (act) act();
    else if (next !== null) this.#hear(() => pair.choose(next));
    else if (key === "ArrowLeft" || key === "ArrowRight") pair.seek(pair.time + (key === "ArrowLeft" ? -JUMP : JUMP));
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  #star(place) {
    const { properties } = this.node;
    properties[STARS] = toggled(properties[STARS], this.songs[place]);
    if (!properties[STARS].length) delete properties[STARS];
    this.#update();
    noteStep();
  }

  #send() {
    const song = this.songs[this.pair.heard];
    const became = sendSeed(app.rootGraph ?? app.graph, song);
    const { words } = this;
    const said = { sent: words.seedSent, retake: words.seedFromRetake, wired: words.seedWired, unknown: words.seedUnknown };
    this.rows.say(filled(said[became], song.seed));
    if (became !== "sent") return;
    app.canvas?.setDirty(true, true);
    noteStep();
  }

  #saveFile() {
    const song = this.songs[this.pair.heard];
    make("a", { href: soundOf(song), download: song.file.filename }).click();
  }

  // The line that is sung.
  #sing() {
    const { audio, pair, songs } = this;
    this.lyrics.show(songs[pair.heard], songs.length > 1 ? pair.time : audio.currentTime);
  }

  #update() {
    this.#sing();
    if (this.songs.length < 2) return;
    this.rows.update(this.pair, this.node.properties?.[STARS]);
    remembered.set(this.key, { shown: this.#shown, state: this.pair.state });
    if (this.pair.on && !this.moving) this.#move();
  }

  // Where it has come to, as long as it plays.
  #move() {
    this.moving = false;
    this.rows.move(this.pair);
    this.#sing();
    if (!this.pair.on) return;
    this.moving = true;
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    if (calm) setTimeout(() => this.#move(), CALM);
    else requestAnimationFrame(() => this.#move());
  }

  show(output) {
    const songs = songsOf(output);
    const shown = JSON.stringify(songs);
    if (shown === this.#shown) return;
    this.#shown = shown;
    this.songs = songs;
    const several = songs.length > 1;
    this.audio.removeAttribute("src");
    this.audio.load();
    this.pair.show(several ? songs : []);
    this.rows.show(several ? songs : []);
    this.rows.say("");
    if (songs.length === 1) this.audio.src = soundOf(songs[0]);
    const before = remembered.get(this.key);
    if (before?.shown === shown) this.pair.state = before.state;
    this.#layOut();
    this.#update();
    const [width, tall] = this.node.computeSize();
    this.node.setSize([Math.max(this.node.size[0], width), Math.max(this.node.size[1], tall)]);
    app.canvas?.setDirty(true, true);
  }

  #layOut() {
    const several = this.songs.length > 1;
    this.audio.style.display = several ? "none" : "";
    this.rows.element.style.display = several ? "" : "none";
    const words = this.lyrics.tall(this.songs);
    const own = several ? this.#fitting(words) : PLAYER;
    this.tall = own + words;
    this.rows.element.style.height = `${own}px`;
    this.box.style.minHeight = `${this.tall}px`;
  }

  // As many rows as there is room for, down to the next node or in this one; but a few in any case.
  #fitting(words) {
    const { node } = this;
    const [wanted, least] = this.rows.heights();
    const others = (node.graph?.nodes ?? []).filter((one) => one.pos[0] < node.pos[0] + node.size[0] && one.pos[0] + one.size[0] > node.pos[0]);
    const below = others.map((one) => one.pos[1] - TITLE).filter((top) => top > node.pos[1]);
    const room = Math.max(node.size[1], Math.min(...below) - node.pos[1] - GAP);
    return Math.max(least, Math.min(wanted, room - words - (node.computeSize()[1] - this.tall)));
  }

  remove() {
    if (this.songs.length > 1) remembered.set(this.key, { shown: this.#shown, state: this.pair.state });
    this.audio.pause();
    this.audio.removeAttribute("src");
    release(this.owner);
    this.pair.remove();
    this.rows.remove();
  }
}

// Outputs are filed under "node" in the main graph and under "subgraph:node" inside of one.
function nodeOf(locator) {
  const [node, subgraph] = String(locator).split(":").reverse();
  const root = app.rootGraph ?? app.graph;
  return (subgraph ? root.subgraphs?.get(subgraph) : root)?.getNodeById(node);
}

function showAll(outputs) {
  for (const [locator, output] of Object.entries(outputs ?? {})) {
    if (output?.audio) players.get(nodeOf(locator))?.show(output);
  }
}

app.registerExtension({
  name: "acestepgraph.player",

  nodeCreated(node) {
    if (!NODES.includes(node.comfyClass)) return;
    players.set(node, new Player(node));
    const onExecuted = node.onExecuted;
    node.onExecuted = function (output) {
      onExecuted?.apply(this, arguments);
      players.get(this)?.show(output);
    };
  },

  // After undo every node is a new one, and the outputs are those of before.
  afterConfigureGraph() {
    showAll(app.nodeOutputs);
  },

  // Another workflow tab was opened, or a finished run was taken from the history.
  onNodeOutputsUpdated(outputs) {
    showAll(outputs);
  },
});
