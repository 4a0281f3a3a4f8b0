// The strip under a player that shows when each line of a song is sung: the one that sounds stands out and can be read.
import { clock } from "./batch.js";
import { button, dressed, make } from "./dom.js";
import { laidOut, sungAt } from "./lines.js";

const TALL = 36; // pixels
const STYLE = `
.acegraph-lyrics { flex: none; height: ${TALL}px; }
.acegraph-lines { position: relative; height: 14px; }
.acegraph-lyrics .acegraph-lines button { position: absolute; top: 2px; height: 10px; padding: 0; border: 0; border-right: 1px solid var(--comfy-menu-bg, #333);
  border-radius: 2px; box-sizing: border-box; background: currentColor; opacity: 0.35; }
.acegraph-lyrics .acegraph-lines button[aria-current=true] { opacity: 1; }
.acegraph-lyrics .acegraph-lines button:focus-visible { outline-offset: 1px; }
.acegraph-sung { height: 20px; line-height: 20px; text-align: center; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }`;

export class Lyrics {
  #lines = [];
  #sung = -1;

  // goTo(seconds): a line was pressed.
  constructor(goTo) {
    this.goTo = goTo;
    this.track = make("div", { className: "acegraph-lines", dir: "ltr" });
    this.text = make("div", { className: "acegraph-sung", dir: "auto" });
    this.element = dressed("acegraph-lyrics", STYLE, this.track, this.text);
    this.show(null);
  }

  // Pixels that it takes where some song of these has lines.
  tall(songs) {
    return songs.some(({ lines }) => lines.length) ? TALL : 0;
  }

  // A song as batch.js tells it, at a moment of it.
  show(song, moment = 0) {
    const lines = song?.lines ?? [];
    if (lines !== this.#lines) {
      this.#lines = lines;
      this.#sung = -1;
      this.text.textContent = "";
      const places = laidOut(lines, song?.seconds ?? lines.at(-1)?.end);
      this.track.replaceChildren(...places.map(({ left, width }, place) => this.#button(lines[place], left, width)));
    }
    this.element.style.display = lines.length ? "" : "none";
    this.#light(sungAt(lines, moment));
  }

  #button({ start, text }, left, width) {
    const title = `${clock(start)} ${text}`;
    const line = button(() => this.goTo(start), { title, ariaLabel: title });
    Object.assign(line.style, { left: `${100 * left}%`, width: `${100 * width}%` });
    return line;
  }

  #light(place) {
    if (place === this.#sung) return;
    this.track.children[this.#sung]?.removeAttribute("aria-current");
    this.track.children[place]?.setAttribute("aria-current", "true");
    this.text.textContent = this.#lines[place]?.text ?? "";
    this.#sung = place;
  }
}
