// What is seen of the region editor: the wave with a handle on each edge, its buttons, and a line of words.
import { button, dressed, keepPresses, make } from "./dom.js";
import { isFlat } from "./peaks.js";
import { RATE, secondsOf } from "./regions.js";
import { pixelAt } from "./timeline.js";
import { coloursOf, paint } from "./wave.js";
import { figure, word } from "./words.js";

export const HEIGHT = 150;
const NOTHING_TO_LOAD = ["open", "gone", "unreadable", "loading", "ready", "click"];
const CSS = `
.acegraph-region { gap: 4px; min-height: ${HEIGHT}px; height: 100%; }
.acegraph-track { position: relative; flex: 1; min-height: 84px; border-radius: 6px; overflow: hidden; touch-action: none; direction: ltr;
  background: var(--comfy-input-bg, #222); color: var(--fg-color, #ddd); }
.acegraph-track canvas { position: absolute; width: 100%; height: 100%; }
.acegraph-track div { position: absolute; top: 16px; bottom: 0; width: 10px; margin-left: -5px; pointer-events: none; border-radius: 3px; }
.acegraph-region .acegraph-tools { gap: 2px; height: 24px; }
.acegraph-tools span { white-space: nowrap; font-variant-numeric: tabular-nums; }
.acegraph-region .acegraph-tools button { width: 26px; height: 24px; padding: 4px; border: 0; background: none; }
.acegraph-region .acegraph-tools button:is(:hover, [aria-pressed=true]) { background: var(--border-color, #555); }
.acegraph-tools svg { width: 100%; height: 100%; fill: none; stroke: currentColor; stroke-width: 1.6; stroke-linejoin: round; stroke-linecap: round; }
.acegraph-line { height: 18px; white-space: nowrap; overflow: hidden; }
.acegraph-line span { opacity: .8; }
.acegraph-line button, .acegraph-line select { padding: 0 6px; }
.acegraph-chips { display: flex; flex: 1; gap: 2px; padding: 0 4px; overflow: hidden; }
.acegraph-chips i { font-style: normal; padding: 0 5px; border: 1px solid var(--border-color, #666); border-radius: 8px; }`;
const ICONS = {
  play: "M4 2.5v11l9-5.5z",
  stop: "M3.5 3.5h9v9h-9z",
  loop: "M3 8V6.5a2 2 0 0 1 2-2h8M11 2l2.5 2.5L11 7M13 8v1.5a2 2 0 0 1-2 2H3M5 9l-2.5 2.5L5 14",
  snap: "M3 2v5a5 5 0 0 0 10 0V2h-3v5a2 2 0 0 1-4 0V2zM3 5h3M10 5h3",
  all: "M2 8h12M5 5L2 8l3 3M11 5l3 3-3 3",
  add: "M8 3v10M3 8h10",
  remove: "M3 4h10M6 4V2.5h4V4M4.5 4l.5 9.5h6l.5-9.5",
};

const icon = (name) => `<svg viewBox="0 0 16 16" aria-hidden="true"><path d="${ICONS[name]}"/></svg>`;
const regionWord = (name, ...values) => word(`region${name[0].toUpperCase()}${name.slice(1)}`, ...values); // "play" is regionPlay

export class Face {
  // does: what is done by its buttons, by their names, and by item(number), another song.
  constructor(does) {
    this.handles = [];
    this.canvas = make("canvas");
    this.track = make("div", { className: "acegraph-track", tabIndex: 0, role: "group" }, this.canvas);
    this.buttons = {};
    for (const name of ["play", "loop", "snap", "all", "add", "remove", "load", "half", "twice"]) this.buttons[name] = button(does[name]);
    const { load, half, twice, ...tools } = this.buttons;
    for (const [name, tool] of Object.entries(tools)) tool.innerHTML = icon(name);
    [half.textContent, twice.textContent] = ["\u00f72", "\u00d72"];
    this.readout = make("span");
    this.said = make("span", { role: "status" });
    this.items = make("select", { onchange: () => does.item(Number(this.items.value)) });
    this.chips = make("span", { className: "acegraph-chips" });
    const bar = make("div", { className: "acegraph-bar acegraph-tools" }, ...Object.values(tools), this.chips, this.readout);
    const line = make("div", { className: "acegraph-bar acegraph-line" }, this.items, load, this.said, half, twice);
    [bar, line].forEach(keepPresses);
    this.element = dressed("acegraph-region", CSS, this.track, bar, line);
    this.element.dataset.captureWheel = "true";
  }

  // In the words that are known by now.
  speak() {
    this.track.ariaLabel = regionWord("track");
    for (const [name, one] of Object.entries(this.buttons)) one.title = one.ariaLabel = regionWord(name);
    this.buttons.load.textContent = regionWord("load");
    this.items.ariaLabel = regionWord("item");
    this.chips.ariaLabel = this.chips.title = regionWord("sections");
  }

  // sight: what wave.js paints, and { state, seconds, tempo, paces, plays, loop, snap, locked, fault, songs, item, loads, sections }.
  show(sight) {
    const scale = this.track.getBoundingClientRect().width / sight.width;
    paint(this.canvas, { ...sight, colours: coloursOf(this.track), ratio: devicePixelRatio * Math.min(2, Math.max(1, scale)) });
    this.grips(sight);
    const { play, loop, snap, load, half, twice } = this.buttons;
    [loop.ariaPressed, snap.ariaPressed] = [sight.loop, sight.snap];
    if (this.plays !== sight.plays) play.innerHTML = icon(sight.plays ? "stop" : "play");
    this.plays = sight.plays;
    play.disabled = !sight.address;
    const [start, stop] = sight.regions[sight.active]?.map(secondsOf) ?? [];
    this.readout.textContent = start === undefined ? "" : `${figure(start, 2)} \u2013 ${figure(stop, 2)} s`;
    this.said.textContent = this.said.title = sight.fault || this.sentence(sight, start === undefined ? 0 : stop - start);
    load.hidden = !sight.loads || NOTHING_TO_LOAD.includes(sight.state);
    half.hidden = twice.hidden = !sight.paces;
    this.list(this.items, sight.songs, (_, place) => make("option", { value: place, textContent: regionWord("song", place + 1) }));
    this.items.hidden = sight.songs.length < 2;
    this.items.value = sight.item;
    this.list(this.chips, sight.sections, (name) => make("i", { textContent: name }));
  }

  // Made anew only where it is another list, or nobody could open a menu.
  list(element, entries, made) {
    const told = JSON.stringify(entries.map((entry) => (typeof entry === "string" ? entry : null)));
    if (element.dataset.told !== told) element.replaceChildren(...entries.map(made));
    element.dataset.told = told;
  }

  grips({ regions, view, width, frames, locked }) {
    while (this.handles.length > 2 * regions.length) this.handles.pop().remove();
    while (this.handles.length < 2 * regions.length) {
      this.handles.push(make("div", { tabIndex: 0, role: "slider", ariaOrientation: "horizontal" }));
      this.track.append(this.handles.at(-1));
    }
    this.handles.forEach((grip, place) => {
      const seconds = secondsOf(regions[place >> 1][place & 1]);
      grip.style.left = `${pixelAt(view, width, seconds)}px`;
      const said = regionWord(place & 1 ? "end" : "start", figure(seconds, 2));
      Object.assign(grip, { ariaValueMin: 0, ariaValueMax: frames / RATE, ariaValueNow: seconds, ariaValueText: said, ariaLabel: said });
      grip.ariaDisabled = locked[place & 1];
    });
  }

  // One line about where the sound comes from.
  sentence({ state, seconds, peaks, tempo, locked }, length) {
    const chained = locked.includes(true) ? `\u26d3 ${regionWord("wired")} ` : "";
    if (state === "unknown" && seconds !== null) state = "quiet";
    if (state === "ready" && peaks && isFlat(peaks)) state = "silent";
    if (state !== "ready") return chained + regionWord(state);
    const beat = tempo.bpm ? regionWord(tempo.estimated ? "tempo" : "beats", figure(tempo.bpm, 1)) : "";
    return `${chained}${figure(length, 2)} / ${figure(seconds ?? 0, 2)} s  ${beat}`;
  }
}
