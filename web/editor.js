// The region editor inside of a node: draws its widgets on the wave, writes them, and plays what is chosen.
import { app } from "../../scripts/app.js";
import { api } from "../../scripts/api.js";
import { handle } from "./hands.js";
import { LONGEST, RATE, merged, parse, regionsOf, resized, secondsOf, snapped, widgetsOf } from "./regions.js";
import { Voice } from "./sound.js";
import { soundAt } from "./sounds.js";
import { isWired, queryOf, signatureOf, sourceOf, trimmed, widgetOf } from "./sources.js";
import { around, beatsOf, inside, usable, whole } from "./timeline.js";
import { coloursOf, paint } from "./wave.js";
import { isFlat } from "./peaks.js";
import { figure, filled } from "./words.js";

const UNKNOWN = 30; // seconds that are drawn where no length is known
const REACH = 8; // pixels within which a beat attracts
export const HEIGHT = 150;
const NAMES = ["start", "end", "regions"];
const STEPS = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, Home: -Infinity, End: Infinity };
const kept = new Map(); // undo makes every node anew: what is seen of a place in a graph outlives it
const CSS = `
.acegraph-region { display: flex; flex-direction: column; gap: 4px; min-height: ${HEIGHT}px; height: 100%; box-sizing: border-box; font-size: 12px; color: var(--fg-color, #ddd); user-select: none; }
.acegraph-track { position: relative; flex: 1; min-height: 84px; border-radius: 6px; overflow: hidden; touch-action: none; direction: ltr; background: var(--comfy-input-bg, #222); color: var(--fg-color, #ddd); }
.acegraph-track canvas { position: absolute; width: 100%; height: 100%; }
.acegraph-track div { position: absolute; top: 16px; bottom: 0; width: 10px; margin-left: -5px; pointer-events: none; border-radius: 3px; }
.acegraph-region :focus-visible { outline: 2px solid var(--fg-color, #fff); outline-offset: -2px; }
.acegraph-bar { display: flex; gap: 2px; align-items: center; height: 24px; }
.acegraph-bar span { flex: 1; text-align: end; white-space: nowrap; overflow: hidden; font-variant-numeric: tabular-nums; }
.acegraph-bar button { width: 26px; height: 24px; padding: 4px; border: 0; border-radius: 4px; background: none; color: inherit; cursor: pointer; }
.acegraph-bar button:hover, .acegraph-bar button[aria-pressed=true] { background: var(--border-color, #555); }
.acegraph-bar svg { width: 100%; height: 100%; fill: none; stroke: currentColor; stroke-width: 1.6; stroke-linejoin: round; stroke-linecap: round; }
.acegraph-line { display: flex; gap: 6px; height: 18px; align-items: center; opacity: .8; white-space: nowrap; overflow: hidden; }
.acegraph-line button, .acegraph-line select { font: inherit; padding: 0 6px; color: inherit; background: var(--comfy-input-bg, #222); border: 1px solid var(--border-color, #555); border-radius: 4px; }`;
const ICONS = {
  play: "M4 2.5v11l9-5.5z",
  stop: "M3.5 3.5h9v9h-9z",
  loop: "M3 8V6.5a2 2 0 0 1 2-2h8M11 2l2.5 2.5L11 7M13 8v1.5a2 2 0 0 1-2 2H3M5 9l-2.5 2.5L5 14",
  snap: "M3 2v5a5 5 0 0 0 10 0V2h-3v5a2 2 0 0 1-4 0V2zM3 5h3M10 5h3",
  all: "M2 8h12M5 5L2 8l3 3M11 5l3 3-3 3",
  add: "M8 3v10M3 8h10",
  remove: "M3 4h10M6 4V2.5h4V4M4.5 4l.5 9.5h6l.5-9.5",
};

export function make(tag, properties, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

function icon(path) {
  return `<svg viewBox="0 0 16 16" aria-hidden="true"><path d="${path}"/></svg>`;
}

const root = () => app.rootGraph ?? app.graph;

export class RegionEditor {
  constructor(node) {
    this.node = node;
    this.words = this.states = {};
    this.drafted = null; // regions under a hand, not yet merged
    this.active = 0;
    this.frame = 0;
    this.found = { seconds: null, state: "open", trims: [] };
    this.handles = [];
    if (!document.getElementById("acegraph-style")) document.head.append(make("style", { id: "acegraph-style", textContent: CSS }));
    this.canvas = make("canvas");
    this.track = make("div", { className: "acegraph-track", tabIndex: 0 }, this.canvas);
    this.track.setAttribute("role", "group");
    const button = (name, press) => make("button", { type: "button", innerHTML: icon(ICONS[name]), onclick: press });
    this.buttons = {
      play: button("play", () => this.toggle()),
      loop: button("loop", () => this.flip("loop")),
      snap: button("snap", () => this.flip("snap")),
      all: button("all", () => this.zoomTo()),
      add: button("add", () => this.add()),
      remove: button("remove", () => this.erase()),
    };
    this.readout = make("span");
    this.said = make("span", { role: "status" });
    this.load = make("button", { type: "button", hidden: true, onclick: () => this.onload?.() });
    this.items = make("select", { hidden: true, onchange: () => ((this.own.item = Number(this.items.value)), this.tick()) });
    const bar = make("div", { className: "acegraph-bar" }, ...Object.values(this.buttons), this.readout);
    this.element = make("div", { className: "acegraph-region" }, this.track, bar, make("div", { className: "acegraph-line" }, this.items, this.load, this.said));
    this.element.dataset.captureWheel = "true";
    this.hands = handle(this.track, this);
    this.element.addEventListener("keydown", (event) => this.key(event));
    this.element.addEventListener("focusin", (event) => this.focused(event));
    for (const kind of ["pointerdown", "pointerup"]) bar.addEventListener(kind, (event) => event.stopPropagation());
    this.watch = new ResizeObserver(() => this.later());
    this.watch.observe(this.track);
  }

  speak(words) {
    this.words = words;
    this.track.ariaLabel = words.regionTrack ?? "";
    const says = { play: words.regionPlay, loop: words.regionLoop, snap: words.regionSnap, all: words.regionAll, add: words.regionAdd, remove: words.regionRemove };
    for (const [name, button] of Object.entries(this.buttons)) button.title = button.ariaLabel = says[name] ?? "";
    this.states = { open: words.regionOpen, loading: words.regionLoading, gone: words.regionGone, large: words.regionLarge, unreadable: words.regionUnread };
    Object.assign(this.states, { unknown: words.regionUnknown, quiet: words.regionQuiet, last: words.regionLast, silent: words.regionSilent });
    this.load.textContent = words.regionLoad ?? "";
    this.items.ariaLabel = words.regionItem ?? "";
    this.later();
  }

  // What is kept of this place: { view, length, snap, loop, playhead, wave, item }
  get own() {
    const place = [root()?.id, this.node.graph?.id, this.node.id].join("/");
    if (!kept.has(place)) kept.set(place, { view: null, snap: true, loop: false, playhead: null, wave: null, item: 0 });
    return kept.get(place);
  }

  // ------------------------------------------------------------------------------------------- what there is
  get values() {
    return Object.fromEntries(NAMES.map((name) => [name, widgetOf(this.node, name)?.value]));
  }

  // Look whether widgets, wires or files have changed.
  tick() {
    const { own, element } = this;
    if (own.element !== element && !element.isConnected && own.element?.isConnected) own.element.replaceWith(element);
    if (!element.isConnected) return;
    own.element = element; // after undo the newest frontend goes on showing that of the node before
    this.source();
    this.typed();
    const box = this.track.getBoundingClientRect();
    const seen = JSON.stringify([this.values, this.found, widgetOf(this.node, "bpm")?.value, box.width, NAMES.map((name) => isWired(this.node, name)), coloursOf(this.track)]);
    if (seen !== this.seen) this.later();
    this.seen = seen;
  }

  // Of several regions, start and end are the outer edges: a number that somebody types moves that edge.
  typed() {
    const { start, end, regions } = this.values;
    const named = parse(regions);
    const hull = named?.length && `${regions} ${start} ${end}`;
    if (hull && !this.drafted && this.hull && hull !== this.hull && this.hull.startsWith(`${regions} `)) {
      const first = resized(named[0], 0, Math.round(start * RATE), LONGEST);
      const last = resized(named.length > 1 ? named.at(-1) : first, 1, end < 0 ? this.frames : Math.round(end * RATE), LONGEST);
      this.write(widgetsOf([...(named.length > 1 ? [first] : []), ...named.slice(1, -1), last], this.frames));
    }
    this.hull = hull && `${this.values.regions} ${this.values.start} ${this.values.end}`;
  }

  source() {
    const { own, node } = this;
    const found = sourceOf(node, root());
    const wave = own.wave?.items[own.item] ?? own.wave?.items[0];
    const fresh = wave && own.wave.signature === signatureOf(node, root());
    let { trims = [], seconds = null } = found;
    let [address, peaks, state] = [null, null, found.kind];
    if (found.kind === "file") [address, state] = [found.file && queryOf(found.file), "open"];
    if (found.kind === "played") [address, state] = [this.played(found.node), "unknown"];
    if (address) state = soundAt(address, () => this.tick()).state;
    if (wave && (fresh || state !== "ready")) {
      [address, peaks, trims, seconds] = [queryOf(wave.sound), queryOf(wave.wave), [], wave.seconds];
      const read = soundAt(address, () => this.tick(), peaks).state;
      state = read === "ready" && !fresh ? "last" : read;
    }
    this.sound = address && soundAt(address, () => this.tick(), peaks);
    const length = this.sound?.seconds ?? seconds;
    const cut = length === null ? null : trimmed(length, trims);
    this.found = { state, address, offset: cut?.[0] ?? 0, seconds: cut && cut[1] - cut[0], beats: wave?.beats ?? null, drawn: Boolean(this.sound?.peaks) };
  }

  played(player) {
    const place = player.graph === root() ? player.id : `${player.graph.id}:${player.id}`;
    const [file] = app.nodeOutputs?.[place]?.audio ?? [];
    return file ? queryOf(file) : null;
  }

  get frames() {
    const { seconds } = this.found;
    return Math.max(1, Math.min(LONGEST, Math.floor((seconds ?? Math.max(UNKNOWN, this.values.end || 0)) * RATE + 1e-6)));
  }

  get regions() {
    return this.drafted ?? regionsOf(this.values, this.frames);
  }

  get beats() {
    const { beats } = this.found;
    const bpm = widgetOf(this.node, "bpm")?.value || beats?.bpm;
    return bpm ? beatsOf({ bpm, phase: beats?.phase ?? 0 }, this.frames / RATE) : [];
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

  // ------------------------------------------------------------------------------------------- what hands do
  snap(seconds, free, keeps = false) {
    if (free || !this.own.snap) return snapped(seconds);
    const { view, width } = this.scene();
    return snapped(seconds, usable(this.beats, view, width), keeps ? Infinity : (REACH / width) * (view.to - view.from));
  }

  locked(edge) {
    return isWired(this.node, "regions") || isWired(this.node, NAMES[edge]);
  }

  draft(regions, active) {
    const before = this.regions;
    if (this.locked(0) || this.locked(1)) {
      const region = [0, 1].map((edge) => (this.locked(edge) ? before[0]?.[edge] : regions[active]?.[edge]));
      if (isWired(this.node, "regions") || region.includes(undefined) || region[0] >= region[1]) return;
      [regions, active] = [[region], 0];
    }
    this.before ??= this.values;
    [this.drafted, this.active] = [regions, active];
    this.later();
  }

  // Write the widgets; what is drawn then comes from them again.
  write(values) {
    for (const name of NAMES) {
      const widget = widgetOf(this.node, name);
      if (!widget || isWired(this.node, name) || widget.value === values[name]) continue;
      widget.value = values[name];
      widget.callback?.(values[name]);
    }
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
    this.remember();
  }

  put() {
    this.write(widgetsOf(merged(this.drafted), this.frames, this.before.end < 0));
  }

  restore() {
    if (this.before) this.write(this.before);
    this.drafted = this.before = null;
    this.later();
  }

  // One step for undo.
  remember() {
    const tracker = app.extensionManager.workflow?.activeWorkflow?.changeTracker;
    (tracker?.captureCanvasState ?? tracker?.checkState)?.call(tracker);
  }

  place(seconds, { index }) {
    this.own.playhead = Math.max(0, seconds);
    if (index !== undefined) this.active = index;
    this.track.focus({ preventScroll: true });
    const range = this.range();
    const at = this.own.playhead + this.found.offset;
    if (this.voice?.playing && at >= range.from && at < range.to) this.voice.play(range, at);
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
    this.before = this.values;
    this.drafted = this.regions.filter((_, index) => index !== this.active);
    this.active = 0;
    this.settle();
  }

  flip(name) {
    this.own[name] = !this.own[name];
    if (this.voice?.playing) this.voice.setRange(this.range());
    this.later();
  }

  focused({ target }) {
    const place = this.handles.indexOf(target);
    if (place < 0 || this.active === place >> 1) return;
    this.active = place >> 1;
    this.later();
  }

  key(event) {
    if (event.ctrlKey || event.metaKey) return;
    const pressed = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const deeds = {
      " ": () => this.toggle(),
      l: () => this.flip("loop"),
      s: () => this.flip("snap"),
      z: () => this.zoomTo(this.active),
      f: () => this.zoomTo(),
      n: () => this.add(),
      Delete: () => this.erase(),
      Backspace: () => this.erase(),
      Escape: () => this.hands.escape() || this.stop(),
    };
    const presses = event.target.closest("button, select");
    if (presses && (presses.tagName === "SELECT" || " Enter".includes(pressed))) return event.stopPropagation();
    const edge = this.handles.indexOf(event.target);
    const deed = deeds[pressed] ?? (edge >= 0 ? this.step(event, edge) : this.walk(event));
    if (!deed) return;
    event.preventDefault();
    event.stopPropagation();
    deed();
  }

  // The same keys on the track move the playhead.
  walk(event) {
    const [steps, end] = [STEPS[event.key], this.frames / RATE];
    return steps && (() => this.place(Math.min(end, (this.own.playhead ?? 0) + steps * (event.shiftKey ? 5 : event.altKey ? 1 / RATE : 0.5)), {}));
  }

  // An arrow, Home or End on the handle of an edge.
  step(event, place) {
    const steps = STEPS[event.key];
    const [index, edge] = [place >> 1, place & 1];
    const region = this.regions[index];
    if (!steps || !region) return null;
    const { view, width } = this.scene();
    const beats = event.altKey || event.shiftKey || !this.own.snap ? [] : usable(this.beats, view, width);
    const now = secondsOf(region[edge]);
    const beat = steps > 0 ? beats.find((one) => one > now + 0.02) : beats.findLast((one) => one < now - 0.02);
    const to = Math.abs(steps) === Infinity ? steps : beat !== undefined ? Math.round(beat * RATE) : region[edge] + steps * (event.shiftKey ? RATE : 1);
    return () => {
      const limits = [this.regions[index - 1]?.[1] + 1 || 0, this.regions[index + 1]?.[0] - 1 || this.frames];
      const next = resized(region, edge, Math.min(Math.max(to, limits[0]), limits[1]), this.frames);
      this.change(this.regions.map((one, other) => (other === index ? next : one)), index);
      this.handles[place]?.focus({ preventScroll: true });
    };
  }

  // ------------------------------------------------------------------------------------------- what is heard
  range() {
    const [start, stop] = this.regions[this.active] ?? [0, this.frames];
    const { offset } = this.found;
    return { from: offset + secondsOf(start), to: offset + secondsOf(stop), loop: this.own.loop };
  }

  async toggle() {
    if (this.voice?.playing) return this.stop();
    this.source();
    if (!this.found.address) return;
    this.voice ??= Object.assign(new Voice(this), { onend: () => this.later() });
    if (this.heard !== this.found.address) this.voice.load(api.apiURL(this.found.address));
    this.heard = this.found.address;
    this.failed = false;
    try {
      if (await this.voice.play(this.range())) this.run();
    } catch (fault) {
      const { words } = this;
      this.failed = fault.name === "NotAllowedError" ? words.regionClick : words.regionUnreadable;
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
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    setTimeout(() => requestAnimationFrame(() => this.run()), calm ? 250 : 0);
  }

  // ------------------------------------------------------------------------------------------- what is seen
  later() {
    this.frame ||= requestAnimationFrame(() => {
      this.frame = 0;
      if (this.element.isConnected) this.render();
    });
  }

  render() {
    if (this.drafted) this.put();
    const scene = this.scene();
    if (!scene.width) return;
    this.active = Math.max(0, Math.min(this.active, scene.regions.length - 1));
    const scale = this.track.getBoundingClientRect().width / scene.width;
    const shown = this.own.snap ? usable(this.beats, scene.view, scene.width) : [];
    const sight = { ...this.found, beats: shown, playhead: this.own.playhead, active: this.active, colours: coloursOf(this.track) };
    paint(this.canvas, { ...sight, ...scene, peaks: this.sound?.peaks, ratio: devicePixelRatio * Math.min(2, Math.max(1, scale)) });
    this.grips(scene);
    const { loop, snap } = this.own;
    this.buttons.loop.ariaPressed = loop;
    this.buttons.snap.ariaPressed = snap;
    const plays = Boolean(this.voice?.playing);
    if (plays !== this.plays) this.buttons.play.innerHTML = icon(plays ? ICONS.stop : ICONS.play);
    this.plays = plays;
    this.buttons.play.disabled = !this.found.address;
    const region = scene.regions[this.active]?.map(secondsOf);
    this.readout.textContent = region ? `${figure(region[0], 2)} \u2013 ${figure(region[1], 2)} s` : "";
    this.said.textContent = this.said.title = this.sentence();
    this.load.hidden = !this.onload || ["open", "gone", "loading", "ready"].includes(this.found.state);
    const songs = this.own.wave?.items.length ?? 0;
    if (this.items.childElementCount !== songs) this.items.replaceChildren(...Array.from({ length: songs }, (_, place) => make("option", { value: place, textContent: filled(this.words.regionSong, place + 1) })));
    this.items.hidden = songs < 2;
    this.items.value = this.own.item;
  }

  grips({ regions, view, width }) {
    while (this.handles.length > 2 * regions.length) this.handles.pop().remove();
    while (this.handles.length < 2 * regions.length) {
      this.handles.push(make("div", { tabIndex: 0, role: "slider", ariaOrientation: "horizontal" }));
      this.track.append(this.handles.at(-1));
    }
    this.handles.forEach((grip, place) => {
      const seconds = secondsOf(regions[place >> 1][place & 1]);
      grip.style.left = `${((seconds - view.from) / (view.to - view.from)) * width}px`;
      const said = filled(place & 1 ? this.words.regionEnd : this.words.regionStart, figure(seconds, 2));
      Object.assign(grip, { ariaValueMin: 0, ariaValueMax: this.frames / RATE, ariaValueNow: seconds, ariaValueText: said, ariaLabel: said });
      grip.ariaDisabled = this.locked(place & 1);
    });
  }

  // One line about where the sound comes from, and what is wrong.
  sentence() {
    const { words, found } = this;
    if (this.failed) return this.failed;
    if (parse(this.values.regions) === null) return words.regionBad ?? "";
    const chained = NAMES.some((name) => isWired(this.node, name)) ? `\u26d3 ${words.regionWired ?? ""} ` : "";
    const tempo = found.beats?.bpm && !widgetOf(this.node, "bpm")?.value ? filled(words.regionTempo, figure(found.beats.bpm, 1)) : "";
    const state = found.state === "unknown" && found.seconds !== null ? "quiet" : found.state === "ready" && this.sound?.peaks && isFlat(this.sound.peaks) ? "silent" : found.state;
    if (state !== "ready") return chained + (this.states[state] ?? "");
    const [start, stop] = (this.regions[this.active] ?? [0, 0]).map(secondsOf);
    return `${chained}${figure(stop - start, 2)} / ${figure(found.seconds ?? 0, 2)} s  ${tempo}`;
  }

  remove() {
    cancelAnimationFrame(this.frame);
    this.voice?.remove();
    this.voice = null;
    this.watch.disconnect();
  }
}
