// Plays every song inside Save Audio and Preview Audio: one as a browser does, several as rows that can be compared.
import { app } from "../../scripts/app.js";
import { songsOf, stepped, toggled } from "./batch.js";
import { addressOf, dressed, eachOutput, fit, keepPresses, make, noteStep, place, root, soon, whenExecuted } from "./dom.js";
import { Lyrics } from "./lyrics.js";
import { Pair } from "./pair.js";
import { Rows } from "./rows.js";
import { sendSeed } from "./seeds.js";
import { claim, release, unload } from "./sound.js";
import { learnWords, word } from "./words.js";

const NODES = ["AceGraphSaveAudio", "AceGraphPreviewAudio"];
// ComfyUI's own audio code looks for a widget of this name on every node that lists audio files.
const WIDGET = "audioUI";
const PLAYER = 54; // pixels
const [TITLE, GAP] = [30, 12]; // of a node, and between two
const JUMP = 5; // seconds
const STARS = "acegraphFavourites";

const players = new WeakMap(); // node -> its player
const remembered = new Map(); // graph and node -> what was compared there, for undo makes every node anew

const soundOf = ({ file, wave }) => addressOf(file, wave ?? Date.now());

class Player {
  #shown = "[]";

  constructor(node) {
    this.node = node;
    this.songs = [];
    this.tall = PLAYER;
    this.audio = make("audio", { controls: true, preload: "metadata" });
    this.audio.style.cssText = "width: 100%; height: 40px; flex: none;";
    this.owner = { stop: () => this.audio.pause() };
    this.audio.addEventListener("play", () => claim(this.owner));
    this.pair = new Pair(soundOf, () => this.#update(), ({ name }) => this.rows.say(name === "NotAllowedError" ? word("regionClick") : word("fileGone")));
    this.rows = new Rows(this.#acts(), (filename) => addressOf({ filename, type: "temp" }));
    this.lyrics = new Lyrics((time) => (this.songs.length > 1 ? this.pair.seek(time) : (this.audio.currentTime = time)));
    this.audio.ontimeupdate = () => this.#sing();
    this.box = dressed("acegraph-player", ".acegraph-player { justify-content: center; }", this.audio, this.rows.element, this.lyrics.element);
    keepPresses(this.box);
    this.rows.element.addEventListener("keydown", (event) => this.#pressed(event));
    learnWords().then(() => {
      this.rows.speak();
      this.#update();
    });
    const height = () => this.tall;
    place(node, WIDGET, this.box, () => this.remove(), height, height);
    this.#layOut();
  }

  get key() {
    return `${this.node.graph?.id}:${this.node.id}`;
  }

  #remember() {
    remembered.set(this.key, { shown: this.#shown, state: this.pair.state });
  }

  #acts() {
    const { pair } = this;
    return {
      play: () => pair.toggle(),
      switchSongs: () => this.#hear(() => pair.swap()),
      matchLoudness: () => this.#hear(() => pair.setMatched(!pair.matched)),
      volume: (volume) => pair.setVolume(volume),
      saveFile: () => this.#saveFile(),
      sendSeed: () => this.#send(),
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
    const { play, switchSongs, matchLoudness, sendSeed, star } = this.rows.acts;
    const act = { " ": play, x: switchSongs, m: matchLoudness, "*": () => star(pair.heard), s: sendSeed }[key.toLowerCase()];
    const next = stepped(shiftKey && key.startsWith("Arrow") ? `Shift+${key}` : key, pair.heard, this.songs, this.rows.table);
    const jump = { ArrowLeft: -JUMP, ArrowRight: JUMP }[key];
    if (act) act();
    else if (next !== null) this.#hear(() => pair.choose(next));
    else if (jump) pair.seek(pair.time + jump);
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
    const became = sendSeed(root(), song);
    this.rows.say(word(became, song.seed));
    if (became !== "seedSent") return;
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
    this.#remember();
    if (this.pair.on && !this.moving) this.#move();
  }

  // Where it has come to, as long as it plays.
  #move() {
    this.moving = false;
    this.rows.move(this.pair);
    this.#sing();
    if (!this.pair.on) return;
    this.moving = true;
    soon(() => this.#move());
  }

  show(output) {
    const songs = songsOf(output);
    const shown = JSON.stringify(songs);
    if (shown === this.#shown) return;
    this.#shown = shown;
    this.songs = songs;
    const several = songs.length > 1;
    unload(this.audio);
    this.pair.show(several ? songs : []);
    this.rows.show(several ? songs : []);
    this.rows.say("");
    if (songs.length === 1) this.audio.src = soundOf(songs[0]);
    const before = remembered.get(this.key);
    if (before?.shown === shown) this.pair.state = before.state;
    this.#layOut();
    this.#update();
    fit(this.node);
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
    if (this.songs.length > 1) this.#remember();
    unload(this.audio);
    release(this.owner);
    this.pair.remove();
    this.rows.remove();
  }
}

const show = (node, output) => output.audio && players.get(node)?.show(output);

app.registerExtension({
  name: "acestepgraph.player",

  nodeCreated(node) {
    if (!NODES.includes(node.comfyClass)) return;
    players.set(node, new Player(node));
    whenExecuted(node, (output) => players.get(node)?.show(output));
  },

  // After undo every node is a new one, and the outputs are those of before.
  afterConfigureGraph: () => eachOutput(app.nodeOutputs, show),
  onNodeOutputsUpdated: (outputs) => eachOutput(outputs, show),
});
