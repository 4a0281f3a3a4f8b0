// What is seen of the region editor: the wave with a handle on each edge, its buttons, and a line of words.
import { make } from "./dom.js";
import { isFlat } from "./peaks.js";
import { RATE, secondsOf } from "./regions.js";
import { pixelAt } from "./timeline.js";
import { coloursOf, paint } from "./wave.js";
import { figure, filled } from "./words.js";

export const HEIGHT = 150;
const NOTHING_TO_LOAD = ["open", "gone", "loading", "ready"];
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


const icon = (name) => `<svg viewBox="0 0 16 16" aria-hidden="true"><path d="${ICONS[name]}"/></svg>`;

export class Face {
  // presses: what the buttons do, by their names; load: only where there is something to be loaded; item: another song.
  constructor({ load, item, ...presses }) {
    this.words = this.states = {};
    this.handles = [];
    this.canvas = make("canvas");
    this.track = make("div", { className: "acegraph-track", tabIndex: 0 }, this.canvas);
    this.track.setAttribute("role", "group");
    this.buttons = {};
    for (const [name, press] of Object.entries(presses)) this.buttons[name] = make("button", { type: "button", innerHTML: icon(name), onclick: press });
    this.readout = make("span");
    this.said = make("span", { role: "status" });
    this.load = make("button", { type: "button", hidden: true, onclick: load });
    this.items = make("select", { hidden: true, onchange: () => item(Number(this.items.value)) });
    const bar = make("div", { className: "acegraph-bar" }, ...Object.values(this.buttons), this.readout);
    const line = make("div", { className: "acegraph-line" }, this.items, this.load, this.said);
    for (const row of [bar, line]) for (const kind of ["pointerdown", "pointerup"]) row.addEventListener(kind, (event) => event.stopPropagation());
    this.element = make("div", { className: "acegraph-region" }, make("style", { textContent: CSS }), this.track, bar, line);
    this.element.dataset.captureWheel = "true";
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
  }

  // sight: what wave.js paints, and { state, seconds, tempo, plays, loop, snap, locked, fault, songs, item, loads }.
  show(sight) {
    const scale = this.track.getBoundingClientRect().width / sight.width;
    paint(this.canvas, { ...sight, colours: coloursOf(this.track), ratio: devicePixelRatio * Math.min(2, Math.max(1, scale)) });
    this.grips(sight);
    this.buttons.loop.ariaPressed = sight.loop;
    this.buttons.snap.ariaPressed = sight.snap;
    if (this.plays !== sight.plays) this.buttons.play.innerHTML = icon(sight.plays ? "stop" : "play");
    this.plays = sight.plays;
    this.buttons.play.disabled = !sight.address;
    const [start, stop] = sight.regions[sight.active]?.map(secondsOf) ?? [];
    this.readout.textContent = start === undefined ? "" : `${figure(start, 2)} \u2013 ${figure(stop, 2)} s`;
    this.said.textContent = this.said.title = sight.fault || this.sentence(sight, start === undefined ? 0 : stop - start);
    this.load.hidden = !sight.loads || NOTHING_TO_LOAD.includes(sight.state);
    if (this.items.childElementCount !== sight.songs) {
      const songs = Array.from({ length: sight.songs }, (_, place) => make("option", { value: place, textContent: filled(this.words.regionSong, place + 1) }));
      this.items.replaceChildren(...songs);
    }
    this.items.hidden = sight.songs < 2;
    this.items.value = sight.item;
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
      const said = filled(place & 1 ? this.words.regionEnd : this.words.regionStart, figure(seconds, 2));
      Object.assign(grip, { ariaValueMin: 0, ariaValueMax: frames / RATE, ariaValueNow: seconds, ariaValueText: said, ariaLabel: said });
      grip.ariaDisabled = locked[place & 1];
    });
  }

  // One line about where the sound comes from.
  sentence({ state, seconds, peaks, tempo, locked }, length) {
    const chained = locked.includes(true) ? `\u26d3 ${this.words.regionWired ?? ""} ` : "";
    if (state === "unknown" && seconds !== null) state = "quiet";
    if (state === "ready" && peaks && isFlat(peaks)) state = "silent";
    if (state !== "ready") return chained + (this.states[state] ?? "");
    const beat = tempo ? filled(this.words.regionTempo, figure(tempo, 1)) : "";
    return `${chained}${figure(length, 2)} / ${figure(seconds ?? 0, 2)} s  ${beat}`;
  }
}
