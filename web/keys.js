// Keys on a drawn song: on the handle of an edge, on the track, on everything around. What they mean is done by the song: see editor.js.
import { RATE, resized, secondsOf } from "./regions.js";

const STEPS = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, Home: -Infinity, End: Infinity };

export function listen(element, song) {
  const deeds = {
    " ": () => song.toggle(),
    l: () => song.flip("loop"),
    s: () => song.flip("snap"),
    z: () => song.zoomTo(song.active),
    f: () => song.zoomTo(),
    n: () => song.add(),
    Delete: () => song.erase(),
    Backspace: () => song.erase(),
    Escape: () => song.hands.escape() || song.stop(),
  };
  element.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey) return; // ComfyUI's
    const pressed = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const presses = event.target.closest("button, select");
    if (presses && (presses.tagName === "SELECT" || " Enter".includes(pressed))) return event.stopPropagation();
    const place = song.handles.indexOf(event.target);
    const deed = deeds[pressed] ?? (STEPS[pressed] && (place < 0 ? () => walk(song, event) : () => step(song, event, place)));
    if (!deed) return;
    event.preventDefault();
    event.stopPropagation();
    deed();
  });
}

// On the track the arrows move the playhead.
function walk(song, event) {
  const far = event.shiftKey ? 5 : event.altKey ? 1 / RATE : 0.5;
  song.place(Math.min(song.frames / RATE, (song.own.playhead ?? 0) + STEPS[event.key] * far), {});
}

// On the handle of an edge they move it: by a beat or else a frame, with Shift by a second, with Alt always by a frame.
function step(song, event, place) {
  const steps = STEPS[event.key];
  const [index, edge] = [place >> 1, place & 1];
  const { regions, frames } = song;
  const now = secondsOf(regions[index][edge]);
  const beats = event.altKey || event.shiftKey ? [] : song.points();
  const beat = steps > 0 ? beats.find((one) => one > now + 0.02) : beats.findLast((one) => one < now - 0.02);
  const near = beat === undefined ? regions[index][edge] + steps * (event.shiftKey ? RATE : 1) : Math.round(beat * RATE);
  const [least, most] = [regions[index - 1]?.[1] + 1 || 0, regions[index + 1]?.[0] - 1 || frames];
  const to = Math.min(Math.max(Number.isFinite(steps) ? near : steps, least), most);
  song.change(regions.map((one, other) => (other === index ? resized(one, edge, to, frames) : one)), index);
  song.handles[place]?.focus({ preventScroll: true });
}
