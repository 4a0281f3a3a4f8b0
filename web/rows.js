// The songs of a batch as rows, or as a table where their labels say so: what is seen of them, and what is pressed.
import { clock, isFavourite, tableOf } from "./batch.js";
import { make } from "./dom.js";
import { columnsOf, readPeaks } from "./peaks.js";
import { figure, filled } from "./words.js";

const BAR = 28; // pixels: a line of buttons, and a wave
const ROW = 32;
const LINE = 24;
const [FEWEST, MOST] = [3, 8]; // rows that are seen before it scrolls: where there is little room, and where there is enough
const DENSEST = 2; // pixels of the bitmap for one of the page
const STYLE = `
.acegraph-batch { display: flex; flex-direction: column; gap: 2px; box-sizing: border-box; font-size: 12px; color: var(--fg-color, #ddd);
  user-select: none; }
.acegraph-buttons { display: flex; gap: 4px; align-items: center; height: ${BAR}px; flex: none; }
.acegraph-buttons button { height: 24px; min-width: 26px; padding: 0 5px; cursor: pointer; white-space: nowrap; color: inherit;
  background: var(--comfy-input-bg, #222); border: 1px solid var(--border-color, #666); border-radius: 4px; }
.acegraph-buttons button:disabled { opacity: 0.45; cursor: default; }
.acegraph-buttons button[aria-pressed=true] { border-color: currentColor; }
.acegraph-buttons input { width: 60px; min-width: 0; }
.acegraph-buttons :last-child { margin-left: auto; }
.acegraph-list { flex: 1; min-height: 0; overflow: auto; border-radius: 4px; }
.acegraph-list:focus-visible, .acegraph-buttons :focus-visible { outline: 2px solid var(--fg-color, #ddd); outline-offset: -2px; }
.acegraph-song { display: flex; gap: 4px; align-items: center; height: ${ROW}px; padding: 2px 4px; box-sizing: border-box; cursor: pointer;
  border: 1px solid transparent; border-radius: 4px; min-width: 0; }
.acegraph-song[aria-selected=true] { box-shadow: inset 3px 0 currentColor; background: var(--comfy-input-bg, #222); }
.acegraph-number { flex: none; min-width: 16px; text-align: right; }
.acegraph-mark { flex: none; width: 12px; font-weight: bold; text-align: center; }
.acegraph-wave { position: relative; flex: 1; min-width: 24px; height: ${BAR}px; }
.acegraph-wave canvas { width: 100%; height: 100%; display: block; }
.acegraph-wave i { position: absolute; top: 0; bottom: 0; left: 0; border-right: 1px solid currentColor; background: rgba(128, 128, 128, 0.25); }
.acegraph-facts { flex: none; text-align: right; font-variant-numeric: tabular-nums; line-height: 13px; font-size: 11px; white-space: pre; }
.acegraph-star { flex: none; width: 24px; height: 24px; line-height: 24px; text-align: center; font-size: 15px; }
.acegraph-table { display: grid; gap: 2px; align-content: start; }
.acegraph-table .acegraph-facts { display: none; }
.acegraph-head { padding: 2px 4px; text-align: center; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; align-self: center; }
.acegraph-said { flex: 1; overflow: hidden; max-height: ${LINE}px; line-height: 12px; font-size: 11px; }`;

function button(press) {
  return make("button", { type: "button", onclick: press });
}

// Of a song of a sheet.
function nameOf(song) {
  return song?.place?.join(" | ") ?? "";
}

export class Rows {
  // acts: what is done by play, swap, match, send, save (the file), volume(0 to 1), press(place, event), star(place)
  constructor(acts, waveAddress) {
    Object.assign(this, { acts, waveAddress, songs: [], rows: [], table: null, words: {} });
    this.play = button(acts.play);
    this.time = make("span", { dir: "ltr" });
    this.volume = make("input", { type: "range", min: 0, max: 1, step: 0.01, value: 1, oninput: () => acts.volume(Number(this.volume.value)) });
    this.volume.onchange = () => this.list.focus({ preventScroll: true }); // or the editor would not notice what is changed next
    this.save = button(acts.save);
    this.swap = button(acts.swap);
    this.match = button(acts.match);
    this.send = button(acts.send);
    this.list = make("div", { className: "acegraph-list", tabIndex: 0, role: "listbox" });
    this.list.dataset.captureWheel = "true";
    this.said = make("div", { className: "acegraph-said", role: "status", ariaLive: "polite" });
    const [above, below] = [[this.play, this.swap, this.match, this.send, this.save], [this.said, this.time, this.volume]].map((parts) =>
      make("div", { className: "acegraph-buttons" }, ...parts),
    );
    below.style.height = `${LINE}px`;
    this.element = make("div", { className: "acegraph-batch" }, make("style", { textContent: STYLE }), above, this.list, below);
    this.seen = new ResizeObserver(() => this.draw());
    this.save.textContent = "\u2193";
  }

  // Pixels that it wants, and with which it gets along.
  heights() {
    const lines = this.table ? this.table.rows.length + 1 : this.songs.length;
    return [MOST, FEWEST].map((most) => BAR + Math.min(lines, most) * (ROW + (this.table ? 2 : 0)) + LINE + 6);
  }

  speak(words) {
    this.words = words;
    const titles = [["play", words.play], ["volume", words.volume], ["save", words.saveFile], ["swap", words.switchSongs], ["match", words.matchLoudness], ["send", words.sendSeed]];
    for (const [name, title] of titles) this[name].title = this[name].ariaLabel = title ?? "";
    this.send.textContent = `${words.seed ?? ""} \u2192`;
    this.list.ariaLabel = words.songs ?? "";
    this.list.title = words.playerKeys ?? "";
  }

  show(songs) {
    this.songs = songs;
    this.table = tableOf(songs);
    this.seen.disconnect();
    this.rows = songs.map((song, place) => this.#row(song, place));
    this.list.className = this.table ? "acegraph-list acegraph-table" : "acegraph-list";
    this.list.style.gridTemplateColumns = this.table ? `fit-content(70px) repeat(${this.table.columns.length}, minmax(104px, 1fr))` : "";
    this.list.replaceChildren(...(this.table ? this.#cells() : this.rows.map((row) => row.element)));
    this.#fetchWaves(songs);
  }

  #row(song, place) {
    const number = make("span", { className: "acegraph-number", textContent: place + 1 });
    const mark = make("span", { className: "acegraph-mark" });
    const canvas = make("canvas", {});
    const head = make("i", {});
    const wave = make("div", { className: "acegraph-wave", dir: "ltr" }, canvas, head);
    const facts = make("span", { className: "acegraph-facts", textContent: this.#factsOf(song) });
    const star = make("span", { className: "acegraph-star" });
    const element = make("div", { className: "acegraph-song", role: "option", id: `acegraph-${Rows.count++}`, title: song.file.filename }, number, mark, wave, facts, star);
    element.onclick = (event) => {
      if (event.target === star) this.acts.star(place);
      else this.acts.press(place, event.shiftKey, event.target.closest(".acegraph-wave") ? this.#share(wave, event) : null);
    };
    this.seen.observe(canvas);
    return { element, mark, canvas, head, star, peaks: null };
  }

  // Where in a wave it was pressed, 0 to 1, however the canvas is scaled.
  #share(wave, event) {
    const { left, width } = wave.getBoundingClientRect();
    return Math.max(0, Math.min(1, (event.clientX - left) / width));
  }

  #factsOf(song) {
    return [song.seconds === null ? "" : clock(song.seconds), song.lufs === null ? "" : `${figure(song.lufs, 1)} LUFS`].join("\n");
  }

  #cells() {
    const { rows, columns, places } = this.table;
    const head = (text, row, column) => {
      const element = make("div", { className: "acegraph-head", textContent: text, title: text, role: "presentation" });
      element.style.gridArea = `${row} / ${column}`;
      return element;
    };
    for (const [place, [row, column]] of places.entries()) this.rows[place].element.style.gridArea = `${row + 2} / ${column + 2}`;
    const heads = [...columns.map((text, place) => head(text, 1, place + 2)), ...rows.map((text, place) => head(text, place + 2, 1))];
    return [...heads, ...this.rows.map((row) => row.element)];
  }

  async #fetchWaves(songs) {
    for (const [place, song] of songs.entries()) {
      if (song.wave === null) continue;
      try {
        const answer = await fetch(this.waveAddress(song.wave));
        if (this.songs !== songs) return;
        this.rows[place].peaks = answer.ok ? readPeaks(await answer.arrayBuffer()) : null;
        this.#drawWave(this.rows[place]);
      } catch {
        continue; // without its wave a song can be heard as well
      }
    }
  }

  draw() {
    for (const row of this.rows) this.#drawWave(row);
  }

  #drawWave({ canvas, peaks }) {
    const dense = Math.min(DENSEST, window.devicePixelRatio || 1);
    const [width, height] = [Math.round(canvas.clientWidth * dense), Math.round(BAR * dense)];
    if (!width) return;
    Object.assign(canvas, { width, height });
    const pen = canvas.getContext("2d");
    pen.fillStyle = getComputedStyle(canvas).color;
    const columns = peaks ? columnsOf(peaks, 0, peaks.count / peaks.rate, width) : new Float32Array(2 * width);
    for (let x = 0; x < width; x++) {
      const [low, high] = [columns[2 * x], columns[2 * x + 1]];
      pen.fillRect(x, ((1 - high) * height) / 2, 1, Math.max(dense / 2, ((high - low) * height) / 2));
    }
  }

  // What may have changed of the pair that is compared, and of favourites.
  update(pair, favourites) {
    const { words, songs } = this;
    const heard = songs[pair.heard];
    for (const [place, row] of this.rows.entries()) {
      const [song, letter] = [songs[place], place === pair.a ? "A" : place === pair.b ? "B" : ""];
      const favourite = isFavourite(favourites, song);
      row.element.ariaSelected = String(place === pair.heard);
      row.mark.textContent = pair.b === null ? "" : letter;
      row.star.textContent = favourite ? "\u2605" : "\u2606";
      row.star.title = words.favourite ?? "";
      row.element.ariaLabel = this.#described(song, place, favourite && words.favourite, pair.b !== null && letter);
    }
    const [selected] = [this.rows[pair.heard]];
    this.list.setAttribute("aria-activedescendant", selected?.element.id ?? "");
    this.play.textContent = pair.on ? "\u275A\u275A" : "\u25B6";
    this.play.title = this.play.ariaLabel = (pair.on ? words.pause : words.play) ?? "";
    this.swap.disabled = pair.b === null;
    this.swap.textContent = pair.b === null ? "A \u21C4 B" : `A ${pair.a + 1} \u21C4 B ${pair.b + 1}`;
    this.match.ariaPressed = String(pair.matched);
    this.match.textContent = `${pair.matched ? "=" : "\u2260"} ${figure(pair.lowered, 1)} dB`;
    this.volume.value = pair.volume;
    this.send.disabled = heard?.seed == null || heard.sampler === null;
    this.move(pair);
  }

  #described(song, place, ...more) {
    const seconds = song.seconds === null ? "" : filled(this.words.inSeconds, figure(song.seconds, 1));
    const lufs = song.lufs === null ? "" : `${figure(song.lufs, 1)} LUFS`;
    return [filled(this.words.songOf, place + 1, this.songs.length), nameOf(song), seconds, lufs, ...more].filter(Boolean).join(", ");
  }

  reveal(place) {
    const [{ offsetTop: top, offsetHeight: height }, list] = [this.rows[place].element, this.list];
    const above = top - list.offsetTop;
    if (above < list.scrollTop) list.scrollTop = above;
    else if (above + height > list.scrollTop + list.clientHeight) list.scrollTop = above + height - list.clientHeight;
  }

  move(pair) {
    const seconds = this.songs[pair.heard]?.seconds;
    this.time.textContent = `${clock(pair.time)} / ${clock(seconds)}`;
    for (const [place, row] of this.rows.entries()) {
      const share = place === pair.heard && seconds ? Math.min(1, pair.time / seconds) : 0;
      row.head.style.width = `${100 * share}%`;
      row.head.style.visibility = share ? "visible" : "hidden";
    }
  }

  // A sentence of its own takes the whole line, until another song is said.
  say(sentence, alone = true) {
    this.said.textContent = this.said.title = sentence;
    for (const part of [this.time, this.volume]) part.style.display = sentence && alone ? "none" : "";
  }

  sayHeard(pair) {
    const song = filled(this.words.songOf, pair.heard + 1, this.songs.length);
    const loudness = pair.lowered ? filled(this.words.matchedBy, figure(pair.lowered, 1)) : "";
    this.say([song, nameOf(this.songs[pair.heard]), loudness].filter(Boolean).join(", "), false);
  }

  remove() {
    this.songs = [];
    this.seen.disconnect();
  }
}
Rows.count = 0;
