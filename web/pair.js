// Two songs of a batch that are compared: one is heard, the other one is ready to go on at the same place, as loud.
import { gainOf, lowered } from "./batch.js";
import { release, takeOver, Voice } from "./sound.js";

const CROSSFADE = 0.015; // seconds

export class Pair {
  songs = [];
  a = 0;
  b = null; // another song, once there is one
  heard = 0; // a or b
  matched = true;
  volume = 1;
  on = false; // it plays
  #time = 0;
  chosen = false; // b was chosen by hand
  #voices = []; // at most two, each with its song
  #active = null;
  #switching = false;

  // addressOf(song): where its file is. changed(): something else is to be shown. failed(fault): the file does not play, or the browser.
  constructor(addressOf, changed, failed) {
    Object.assign(this, { addressOf, changed, failed });
  }

  show(songs) {
    this.stop();
    this.#forget();
    this.state = { ...this.state, a: 0, b: null, heard: 0, time: 0, chosen: false };
    this.songs = songs;
  }

  // What outlives the node being made anew.
  get state() {
    const { a, b, heard, matched, volume, time, chosen } = this;
    return { a, b, heard, matched, volume, time, chosen };
  }

  set state({ time, ...more }) {
    Object.assign(this, more);
    this.#time = time;
  }

  get time() {
    return this.on && this.#active ? this.#active.voice.time : this.#time;
  }

  // Decibels that the song which is heard is turned down by.
  get lowered() {
    return this.#loweredOf(this.heard);
  }

  get #other() {
    return this.heard === this.a ? this.b : this.a;
  }

  choose(place) {
    if (place !== this.a) {
      if (!this.chosen || place === this.b) [this.b, this.chosen] = [this.a, false];
      this.a = place;
    }
    this.#hear(place);
  }

  chooseOther(place) {
    if (place === this.a) return;
    this.b = place;
    this.chosen = true;
    this.#hear(this.heard === this.a ? this.a : place);
    this.#prepare();
  }

  swap() {
    if (this.b !== null) this.#hear(this.#other);
  }

  setMatched(on) {
    this.matched = on;
    this.#levels();
    this.changed();
  }

  setVolume(volume) {
    this.volume = volume;
    this.#levels();
  }

  toggle() {
    if (this.on) this.stop();
    else this.#play(this.#time);
  }

  seek(time) {
    this.#time = Math.max(0, Math.min(time, (this.songs[this.heard]?.seconds ?? Infinity) - 0.05));
    if (this.on) this.#play(this.#time);
    else this.changed();
  }

  // Also called when somebody else begins to sound.
  stop() {
    if (!this.on) return;
    this.#time = this.time;
    this.on = false;
    for (const { voice } of this.#voices) voice.stop();
    this.changed();
  }

  remove() {
    this.changed = this.failed = () => {};
    this.stop();
    this.#forget();
    release(this);
  }

  // Files are fetched anew.
  #forget() {
    for (const { voice } of this.#voices) voice.remove();
    this.#voices = [];
    this.#active = null;
  }

  #loweredOf(place) {
    const other = place === this.a ? this.b : this.a;
    return this.matched && other !== null ? lowered(this.songs[place], this.songs[other]) : 0;
  }

  #levelOf = (place) => gainOf(this.#loweredOf(place)) * this.volume;

  #levels() {
    for (const { voice, place } of this.#voices) voice.setLevel(this.#levelOf(place), 0.03);
  }

  #hear(place) {
    this.heard = place;
    this.#levels();
    if (this.on) this.#follow();
    this.changed();
  }

  // The voice of a song: one that has it, or the one that is not heard.
  #voiceOf(place) {
    let found = this.#voices.find((one) => one.place === place);
    if (found) return found;
    found = this.#voices.length < 2 ? { voice: new Voice(this) } : this.#voices.find((one) => one !== this.#active);
    if (!this.#voices.includes(found)) this.#voices.push(found);
    found.place = place;
    found.voice.load(this.addressOf(this.songs[place]));
    found.voice.onend = () => found === this.#active && this.#ended();
    return found;
  }

  // The other one is fetched before it is asked for.
  #prepare() {
    if (this.on && !this.#switching && this.#other !== null) this.#voiceOf(this.#other);
  }

  async #play(time) {
    this.on = true;
    const songs = this.songs;
    try {
      const next = this.#voiceOf(this.heard);
      if (this.#active && this.#active !== next) this.#active.voice.stop();
      this.#active = next;
      next.voice.level = this.#levelOf(next.place);
      this.changed();
      await next.voice.play(null, time);
      this.#prepare();
    } catch (fault) {
      this.#fail(songs, fault);
    }
  }

  // Go on with the song that is to be heard, again until it is the one; while this happens another may be asked for.
  async #follow() {
    if (this.#switching) return;
    this.#switching = true;
    const songs = this.songs;
    try {
      while (this.on && songs === this.songs && this.#active && this.#active.place !== this.heard) {
        const from = this.#active;
        const next = this.#voiceOf(this.heard);
        next.voice.level = this.#levelOf(next.place);
        const isOver = from.voice.time >= (this.songs[next.place].seconds ?? Infinity) - 0.1; // the next one is shorter
        if (isOver) from.voice.stop();
        if (!(await (isOver ? next.voice.play(null, 0) : takeOver(from.voice, next.voice, CROSSFADE)))) break;
        if (this.on && songs === this.songs) this.#active = next;
      }
    } catch (fault) {
      this.#fail(songs, fault);
    } finally {
      this.#switching = false;
    }
    this.#prepare();
  }

  #fail(songs, fault) {
    if (songs !== this.songs) return;
    const { on } = this;
    this.stop();
    this.#forget();
    if (on) this.failed(fault);
  }

  #ended() {
    this.on = false;
    this.#time = 0;
    for (const { voice } of this.#voices) voice.stop();
    this.changed();
  }
}
