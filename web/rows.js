// The songs of a batch as rows, or as a table where their labels say so: what is seen of them, and what is pressed.
import { clock, isFavourite, tableOf } from "./batch.js";
import { button, dressed, make } from "./dom.js";
import { readPeaks } from "./peaks.js";
import { drawWave } from "./wave.js";
import { figure, word } from "./words.js";

const BAR = 28; // pixels: a line of buttons, and a wave
const ROW = 32;
const LINE = 24;
const [FEWEST, MOST] = [3, 8]; // rows that are seen before it scrolls: where there is little room, and where there is enough
const CSS = `
.acegraph-batch { gap: 2px; }
.acegraph-buttons { height: ${BAR}px; }
.acegraph-buttons button { height: 24px; min-width: 26px; padding: 0 5px; }
.acegraph-buttons input { width: 60px; min-width: 0; }
.acegraph-buttons :last-child { margin-left: auto; }
.acegraph-list { flex: 1; min-height: 0; overflow: auto; border-radius: 4px; }
.acegraph-song { height: ${ROW}px; padding: 2px 4px; box-sizing: border-box; cursor: pointer;
  border-radius: 4px; min-width: 0; }
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

const nameOf = (song) => song?.place?.join(" | ") ?? ""; // of a song of a sheet
const loudnessOf = ({ lufs }) => (lufs === null ? "" : `${figure(lufs, 1)} LUFS`);

export class Rows {
  // acts: what is done by play, switchSongs, matchLoudness, sendSeed, saveFile, volume(0 to 1), press(place, other, share), star(place)
  constructor(acts, waveAddress) {
    Object.assign(this, { acts, waveAddress, songs: [], rows: [], table: null });
    this.time = make("span", { dir: "ltr" });
    this.volume = make("input", { type: "range", min: 0, max: 1, step: 0.01, value: 1, oninput: () => acts.volume(Number(this.volume.value)) });
    this.volume.onchange = () => this.list.focus({ preventScroll: true }); // or the editor would not notice what is changed next
    this.buttons = {};
    for (const name of ["play", "switchSongs", "matchLoudness", "sendSeed", "saveFile"]) this.buttons[name] = button(() => acts[name]());
    this.list = make("div", { className: "acegraph-list", tabIndex: 0, role: "listbox" });
    this.list.dataset.captureWheel = "true";
    this.said = make("div", { className: "acegraph-said", role: "status", ariaLive: "polite" });
    const [above, below] = [Object.values(this.buttons), [this.said, this.time, this.volume]].map((parts) =>
      make("div", { className: "acegraph-bar acegraph-buttons" }, ...parts),
    );
    below.style.height = `${LINE}px`;
    this.element = dressed("acegraph-batch", CSS, above, this.list, below);
    this.seen = new ResizeObserver(() => this.draw());
    this.buttons.saveFile.textContent = "\u2193";
  }

  // Pixels that it wants, and with which it gets along.
  heights() {
    const lines = this.table ? this.table.rows.length + 1 : this.songs.length;
    return [MOST, FEWEST].map((most) => BAR + Math.min(lines, most) * (ROW + (this.table ? 2 : 0)) + LINE + 6);
  }

  // In the words that are known by now.
  speak() {
    for (const [name, one] of Object.entries(this.buttons)) one.title = one.ariaLabel = word(name);
    this.volume.title = this.volume.ariaLabel = word("volume");
    this.buttons.sendSeed.textContent = `${word("seed")} \u2192`;
    this.list.ariaLabel = word("songs");
    this.list.title = word("playerKeys");
  }

  show(songs) {
    this.songs = songs;
    this.table = tableOf(songs);
    this.seen.disconnect();
    this.rows = songs.map((song, place) => this.#row(song, place));
    this.list.classList.toggle("acegraph-table", this.table !== null);
    this.list.style.gridTemplateColumns = this.table ? `fit-content(70px) repeat(${this.table.columns.length}, minmax(104px, 1fr))` : "";
    this.list.replaceChildren(...(this.table ? this.#cells() : this.rows.map((row) => row.element)));
    this.#fetchWaves(songs);
  }

  #row(song, place) {
    const number = make("span", { className: "acegraph-number", textContent: place + 1 });
    const mark = make("span", { className: "acegraph-mark" });
    const canvas = make("canvas");
    const head = make("i");
    const wave = make("div", { className: "acegraph-wave", dir: "ltr" }, canvas, head);
    const told = [song.seconds === null ? "" : clock(song.seconds), loudnessOf(song)];
    const facts = make("span", { className: "acegraph-facts", textContent: told.join("\n") });
    const star = make("span", { className: "acegraph-star" });
    const element = make("div", { className: "acegraph-bar acegraph-song", role: "option", id: `acegraph-${Rows.count++}`, title: song.file.filename }, number, mark, wave, facts, star);
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
        this.draw();
      } catch {
        continue; // without its wave a song can be heard as well
      }
    }
  }

  draw() {
    for (const { canvas, peaks } of this.rows) drawWave(canvas, peaks);
  }

  // What may have changed of the pair that is compared, and of favourites.
  update(pair, favourites) {
    const { songs } = this;
    const { play, switchSongs, matchLoudness, sendSeed } = this.buttons;
    const heard = songs[pair.heard];
    for (const [place, row] of this.rows.entries()) {
      const song = songs[place];
      const letter = pair.b === null ? "" : place === pair.a ? "A" : place === pair.b ? "B" : "";
      const favourite = isFavourite(favourites, song);
      row.element.ariaSelected = String(place === pair.heard);
      row.mark.textContent = letter;
      row.star.textContent = favourite ? "\u2605" : "\u2606";
      row.star.title = word("favourite");
      row.element.ariaLabel = this.#described(song, place, favourite && word("favourite"), letter);
    }
    this.list.setAttribute("aria-activedescendant", this.rows[pair.heard]?.element.id ?? "");
    play.textContent = pair.on ? "\u275A\u275A" : "\u25B6";
    play.title = play.ariaLabel = word(pair.on ? "pause" : "play");
    switchSongs.disabled = pair.b === null;
    switchSongs.textContent = pair.b === null ? "A \u21C4 B" : `A ${pair.a + 1} \u21C4 B ${pair.b + 1}`;
    matchLoudness.ariaPressed = String(pair.matched);
    matchLoudness.textContent = `${pair.matched ? "=" : "\u2260"} ${figure(pair.lowered, 1)} dB`;
    this.volume.value = pair.volume;
    sendSeed.disabled = heard?.seed == null || heard.sampler === null;
    this.move(pair);
  }

  #described(song, place, ...more) {
    const seconds = song.seconds === null ? "" : word("inSeconds", figure(song.seconds, 1));
    return [word("songOf", place + 1, this.songs.length), nameOf(song), seconds, loudnessOf(song), ...more].filter(Boolean).join(", ");
  }

  reveal(place) {
    const [{ offsetTop: top, offsetHeight: height }, list] = [this.rows[place].element, this.list];
    const above = top - list.offsetTop;
    list.scrollTop = Math.min(above, Math.max(list.scrollTop, above + height - list.clientHeight));
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
    const song = word("songOf", pair.heard + 1, this.songs.length);
    const loudness = pair.lowered ? word("matchedBy", figure(pair.lowered, 1)) : "";
    this.say([song, nameOf(this.songs[pair.heard]), loudness].filter(Boolean).join(", "), false);
  }

  remove() {
    this.songs = [];
    this.seen.disconnect();
  }
}
Rows.count = 0;
