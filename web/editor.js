// The region editor inside of a node: draws its widgets on the wave, writes them, and plays what is chosen.
import { noteStep, root, soon } from "./dom.js";
import { Face } from "./face.js";
import { handle } from "./hands.js";
import { listen } from "./keys.js";
import { LONGEST, MOST, RATE, merged, parse, regionsOf, secondsOf, snapped, stretched, widgetsOf } from "./regions.js";
import { Voice } from "./sound.js";
import { lookUp } from "./sounds.js";
import { holderOf, widgetOf, write } from "./sources.js";
import { around, inside, paced, pointsOf, tempoOf, usable, whole } from "./timeline.js";
import { coloursOf } from "./wave.js";
import { word } from "./words.js";

const UNKNOWN = 30; // seconds that are drawn where no length is known
const REACH = 8; // pixels within which a beat attracts
const NAMES = ["start", "end", "regions"];
const kept = new Map(); // undo makes every node anew: what is seen of a place in a graph outlives it

export class RegionEditor {
  drafted = null; // regions under a hand, not yet merged
  active = 0;
  found = { seconds: null, state: "open", offset: 0, beats: null, brief: { bpm: 0, sections: [] } };

  constructor(node) {
    this.node = node;
    this.face = new Face({
      play: () => this.toggle(),
      loop: () => this.flip("loop"),
      snap: () => this.flip("snap"),
      all: () => this.zoomTo(),
      add: () => this.add(),
      remove: () => this.erase(),
      load: () => this.onload?.(),
      half: () => this.pace(0.5),
      twice: () => this.pace(2),
      item: (number) => ((this.own.item = number), this.tick()),
    });
    ({ element: this.element, track: this.track, handles: this.handles } = this.face);
    this.hands = handle(this.track, this);
    listen(this.element, this);
    this.element.addEventListener("focusin", (event) => this.focused(event));
    this.watch = new ResizeObserver(() => this.later());
    this.watch.observe(this.track);
  }

  speak() {
    this.face.speak();
    this.later();
  }

  // What is kept of this place: { view, length, snap, loop, playhead, wave, item }
  get own() {
    const place = [root()?.id, this.node.graph?.id, this.node.id].join("/");
    if (!kept.has(place)) kept.set(place, { view: null, snap: true, loop: false, playhead: null, wave: null, item: 0 });
    return kept.get(place);
  }

  get values() {
    return Object.fromEntries(NAMES.map((name) => [name, (this.holder(name) ?? widgetOf(this.node, name))?.value]));
  }

  holder = (name) => holderOf(this.node, name, root());

  // Look whether widgets, wires or files have changed.
  tick() {
    const { own, element } = this;
    if (own.element !== element && !element.isConnected && own.element?.isConnected) own.element.replaceWith(element);
    if (!element.isConnected) return;
    own.element = element; // after undo the newest frontend goes on showing that of the node before
    this.source();
    this.typed();
    const box = this.track.getBoundingClientRect();
    const seen = JSON.stringify([this.values, this.found, this.tempo, box.width, NAMES.map((name) => !this.holder(name)), coloursOf(this.track)]);
    if (seen !== this.seen) this.later();
    this.seen = seen;
  }

  // Of several regions, start and end are the outer edges: a number that somebody types moves that edge.
  typed() {
    const hull = ({ start, end, regions }) => regions && `${regions} ${start} ${end}`;
    const now = hull(this.values);
    if (now && !this.drafted && this.hull && now !== this.hull && this.hull.startsWith(`${this.values.regions} `)) {
      this.write(stretched(this.values, this.frames));
    }
    this.hull = hull(this.values);
  }

  source() {
    Object.assign(this, lookUp(this.node, this.own, root(), () => this.tick()));
  }

  get frames() {
    const { seconds } = this.found;
    return Math.max(1, Math.min(LONGEST, Math.floor((seconds ?? Math.max(UNKNOWN, this.values.end || 0)) * RATE + 1e-6)));
  }

  get regions() {
    return this.drafted ?? regionsOf(this.values, this.frames);
  }

  get tempo() {
    return tempoOf(this.holder("bpm")?.value, this.found);
  }

  // Twice or half as fast: what is estimated may be either.
  pace(factor) {
    write(this.holder("bpm"), paced(this.tempo.bpm, factor));
    noteStep();
    this.tick();
  }

  // What is seen and snapped to.
  points(scene = this.scene()) {
    if (!this.own.snap) return [];
    return usable(pointsOf(this.tempo, this.found, this.sound?.onsets, scene.end), scene.view, scene.width);
  }

  scene() {
    const { own, regions, frames } = this;
    const end = frames / RATE;
    const length = Math.max(end, (regions.at(-1)?.[1] ?? 0) / RATE);
    const { seconds } = this.found;
    if (seconds !== null && own.length !== seconds) [own.length, own.view] = [seconds, null]; // another song
    const width = this.track.clientWidth;
    const view = own.view ? inside(own.view, length) : whole(length);
    return { regions, frames, end, length, width, view, height: this.track.clientHeight };
  }

  snap(seconds, free, keeps = false) {
    if (free) return snapped(seconds);
    const scene = this.scene();
    return snapped(seconds, this.points(scene), keeps && this.tempo.bpm ? Infinity : (REACH / scene.width) * (scene.view.to - scene.view.from));
  }

  locked(edge) {
    return !this.holder("regions") || !this.holder(NAMES[edge]);
  }

  draft(regions, active) {
    if (merged(regions).length > MOST) return;
    const before = this.regions;
    if (this.locked(0) || this.locked(1)) {
      const region = [0, 1].map((edge) => (this.locked(edge) ? before[0]?.[edge] : regions[active]?.[edge]));
      if (!this.holder("regions") || region.includes(undefined) || region[0] >= region[1]) return;
      [regions, active] = [[region], 0];
    }
    this.before ??= this.values;
    [this.drafted, this.active] = [regions, active];
    this.later();
  }

  // Write the widgets; what is drawn then comes from them again.
  write(values) {
    for (const name of NAMES) write(this.holder(name), values[name]);
  }

  settle() {
    if (!this.drafted) return;
    const active = this.drafted[this.active];
    const regions = merged(this.drafted);
    this.put();
    this.drafted = this.before = null;
    this.active = Math.max(0, regions.findIndex(([start, stop]) => active && start <= active[0] && stop >= active[1]));
    if (this.voice?.playing) this.voice.setRange(this.range());
    this.render();
    if (!this.element.contains(document.activeElement) || document.activeElement === this.track) this.handles[2 * this.active]?.focus({ preventScroll: true });
    noteStep();
  }

  put() {
    this.write(widgetsOf(merged(this.drafted), this.frames, this.before.end < 0));
  }

  restore() {
    if (this.before) this.write(this.before);
    this.drafted = this.before = null;
    this.later();
  }

  place(seconds, { index }) {
    this.own.playhead = Math.max(0, seconds);
    if (index !== undefined) this.active = index;
    this.track.focus({ preventScroll: true });
    const range = this.range();
    const at = this.own.playhead + this.found.offset;
    if (this.voice?.playing && at >= range.from && at < range.to) this.voice.play(range, at).catch(() => this.stop());
    this.later();
  }

  look(view) {
    this.own.view = view;
    this.later();
  }

  zoomTo(index) {
    const region = this.regions[index];
    this.look(region ? around(region.map(secondsOf), this.scene().length) : null);
  }

  change(regions, active) {
    this.draft(regions, active);
    this.settle();
  }

  add() {
    const start = Math.min(Math.max(0, Math.round((this.own.playhead ?? this.scene().view.from) * RATE)), this.frames - 1);
    const stop = Math.min(this.frames, start + Math.max(1, Math.round(this.frames / 10)));
    const others = this.regions.length === 1 && this.regions[0][0] === 0 && this.regions[0][1] >= this.frames ? [] : this.regions;
    this.change([...others, [start, stop]], others.length);
  }

  erase() {
    if (this.locked(0) || this.locked(1)) return;
    [this.before, this.drafted] = [this.values, this.regions.filter((_, index) => index !== this.active)];
    this.active = 0;
    this.settle();
  }

  flip(name) {
    this.own[name] = !this.own[name];
    if (this.voice?.playing) this.voice.setRange(this.range());
    this.later();
  }

  focused({ target }) {
    if (this.handles.includes(target)) this.active = this.handles.indexOf(target) >> 1;
    this.later();
  }

  range() {
    const [start, stop] = this.regions[this.active] ?? [0, this.frames];
    const { offset } = this.found;
    const [from, to] = [start, stop].map((frame) => Math.max(0, offset + secondsOf(frame))); // what is added before is silent
    return { from, to, loop: this.own.loop };
  }

  async toggle() {
    if (this.voice?.playing) return this.stop();
    this.source();
    const [range, { address }] = [this.range(), this.found];
    if (!address || range.to <= range.from) return;
    this.voice ??= Object.assign(new Voice(this), { onend: () => this.later() });
    if (this.heard !== address) this.voice.load((this.heard = address));
    this.failed = null;
    try {
      if (await this.voice.play(range)) this.run();
    } catch (fault) {
      this.failed = { [this.heard]: fault.name === "NotAllowedError" ? "click" : "unplayable" };
      this.heard = null; // fetched anew at the next press
    }
    this.later();
  }

  stop() {
    this.voice?.stop();
    setTimeout(() => this.later(), 50);
  }

  // The playhead follows what is heard.
  run() {
    if (!this.voice?.playing || !this.element.isConnected) return this.later();
    this.own.playhead = this.voice.time - this.found.offset;
    this.later();
    soon(() => this.run());
  }

  later() {
    this.frame ||= requestAnimationFrame(() => {
      this.frame = 0;
      if (this.element.isConnected) this.render();
    });
  }

  render() {
    if (this.drafted) this.put();
    const { own, found, tempo } = this;
    const scene = this.scene();
    if (!scene.width) return;
    this.active = Math.max(0, Math.min(this.active, scene.regions.length - 1));
    const { playhead, loop, snap, item } = own;
    this.face.show({
      ...{ ...found, ...scene, points: this.points(scene), tempo, playhead, loop, snap, item, active: this.active, peaks: this.sound?.peaks },
      state: (found.state !== "unreadable" && this.failed?.[found.address]) || found.state,
      fault: parse(this.values.regions) === null ? word("regionBad") : "",
      plays: Boolean(this.voice?.playing),
      locked: [this.locked(0), this.locked(1)],
      songs: own.wave?.items ?? [],
      sections: found.brief.sections,
      loads: Boolean(this.onload),
      paces: Boolean(tempo.bpm && this.holder("bpm") && found.state === "ready"),
    });
  }

  remove() {
    cancelAnimationFrame(this.frame);
    this.voice?.remove();
    this.voice = null;
    this.watch.disconnect();
  }
}
