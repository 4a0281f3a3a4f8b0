// Mouse, pen, fingers and wheel on a drawn song. What they mean is done by the song: see editor.js.
import { RATE, moved, resized } from "./regions.js";
import { pixelAt, secondsAt, zoomed, scrolled } from "./timeline.js";

const CLICK = 4; // pixels that a hand may tremble
const REACH = { mouse: 6, pen: 8, touch: 14 }; // pixels around an edge

// What lies under a pixel: an edge of a region (0: start, 1: stop), its inside, or free ground.
export function under(x, { view, width, regions, frames }, reach) {
  let best = null;
  regions.forEach((region, index) =>
    region.forEach((frame, edge) => {
      const away = x - pixelAt(view, width, frame / RATE);
      const far = Math.abs(away) - (edge === (away > 0 ? 1 : 0) ? 0.5 : 0); // of two edges at one place the outer one
      if (Math.abs(away) <= reach && !(best?.far <= far)) best = { index, edge, far };
    }),
  );
  if (best) return { index: best.index, edge: best.edge };
  const frame = secondsAt(view, width, x) * RATE;
  const index = regions.findIndex(([start, stop]) => frame >= start && frame < stop);
  const whole = index >= 0 && regions[index][0] <= 0 && regions[index][1] >= frames;
  return index < 0 || whole ? {} : { index };
}

// song: { scene(), snap(seconds, free), draft(regions, active), settle(), restore(), place(seconds), look(view), zoomTo(index), locked(edge) }
export function handle(element, song) {
  const fingers = new Map(); // pointer id -> x
  let drag = null;

  const at = (event) => {
    const box = element.getBoundingClientRect();
    return ((event.clientX - box.left) / box.width) * element.clientWidth;
  };

  function begin(event) {
    const x = at(event);
    const scene = song.scene();
    const target = event.shiftKey ? {} : under(x, scene, REACH[event.pointerType] ?? REACH.mouse);
    drag = { x, target, base: scene.regions, from: secondsAt(scene.view, scene.width, x), add: event.shiftKey, moves: false };
  }

  function drawn(event) {
    const { view, width, frames } = song.scene();
    const { target, base, from, add } = drag;
    const now = secondsAt(view, width, at(event));
    const put = (region) => base.map((one, index) => (index === target.index ? region : one));
    if (target.edge !== undefined) {
      return [put(resized(base[target.index], target.edge, song.snap(now, event.altKey), frames)), target.index];
    }
    if (target.index !== undefined) {
      const region = base[target.index];
      const by = song.snap(region[0] / RATE + now - from, event.altKey, true) - region[0];
      return [put(moved(region, by, frames)), target.index];
    }
    const [start, stop] = [song.snap(from, event.altKey), song.snap(now, event.altKey)].sort((a, b) => a - b);
    const made = [Math.min(start, frames - 1), Math.min(Math.max(stop, start + 1), frames)];
    return add ? [[...base, made], base.length] : [[made], 0];
  }

  function pinch(event) {
    const before = [...fingers.values()];
    fingers.set(event.pointerId, at(event));
    const after = [...fingers.values()];
    const { view, width, length } = song.scene();
    const middle = (xs) => (xs[0] + xs[1]) / 2;
    const size = (xs) => Math.max(8, Math.abs(xs[0] - xs[1]));
    const wide = zoomed(view, size(after) / size(before), secondsAt(view, width, middle(before)), length);
    song.look(scrolled(wide, secondsAt(wide, width, middle(before)) - secondsAt(wide, width, middle(after)), length));
  }

  function drop(restored) {
    if (drag?.moves) restored ? song.restore() : song.settle();
    drag = null;
  }

  element.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    event.stopPropagation();
    element.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, at(event));
    if (fingers.size === 1) begin(event);
    else drop(true);
  });
  element.addEventListener("pointermove", (event) => {
    if (!fingers.has(event.pointerId)) {
      const { index, edge } = under(at(event), song.scene(), REACH.mouse);
      element.style.cursor = edge !== undefined ? (song.locked(edge) ? "not-allowed" : "ew-resize") : index !== undefined ? "grab" : "crosshair";
      return;
    }
    event.stopPropagation();
    if (fingers.size === 2) pinch(event);
    else if (drag && (drag.moves ||= Math.abs(at(event) - drag.x) >= CLICK)) song.draft(...drawn(event));
  });
  element.addEventListener("pointerup", (event) => {
    if (!fingers.delete(event.pointerId)) return;
    event.stopPropagation();
    if (drag && !drag.moves) song.place(drag.from, drag.target);
    drop(false);
  });
  element.addEventListener("pointercancel", (event) => {
    if (fingers.delete(event.pointerId)) drop(true);
  });
  element.addEventListener("dblclick", (event) => {
    event.stopPropagation();
    const { index } = under(at(event), song.scene(), 0);
    song.zoomTo(index);
  });
  element.addEventListener(
    "wheel",
    (event) => {
      if (event.ctrlKey || event.metaKey) return; // the canvas's own zoom
      event.preventDefault();
      event.stopPropagation();
      const { view, width, length } = song.scene();
      const along = event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY);
      const by = event.shiftKey ? event.deltaY || event.deltaX : event.deltaX;
      if (along) song.look(scrolled(view, (by / width) * (view.to - view.from), length));
      else song.look(zoomed(view, Math.exp(-event.deltaY / 400), secondsAt(view, width, at(event)), length));
    },
    { passive: false },
  );
  return { escape: () => drag?.moves && (drop(true), true) };
}
