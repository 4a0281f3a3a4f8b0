// Regions as pairs of latent frames [start, stop): reading, printing, merging and snapping. Nothing here knows the page.
export const RATE = 25; // frames per second: the grid of everything that is drawn
export const LONGEST = 600 * RATE;
export const MOST = 64;

export const frameAt = (seconds) => Math.floor(seconds * RATE + 1e-6);
export const secondsOf = (frame) => Math.round(frame * 4) / 100; // exact in two decimals

const isNumber = (text) => /^(\d+\.?\d*|\.\d+)$/.test(text);

function regionOf(piece) {
  const edges = piece.split("-").map((edge) => edge.trim());
  if (edges.length !== 2 || !edges.every(isNumber)) return null;
  const [start, stop] = edges.map(Number);
  if (stop > LONGEST / RATE || frameAt(stop) <= frameAt(start)) return null;
  return [frameAt(start), frameAt(stop)];
}

// The regions of a line such as "12.00-20.04, 40.00-48.00", or null where the server would refuse it.
export function parse(line) {
  const pieces = String(line ?? "").split(",").map((piece) => piece.trim()).filter(Boolean);
  const regions = pieces.map(regionOf);
  return pieces.length > MOST || regions.includes(null) ? null : merged(regions);
}

export const print = (regions) =>
  regions.map(([start, stop]) => `${secondsOf(start).toFixed(2)}-${secondsOf(stop).toFixed(2)}`).join(", ");

// In order, those that overlap or touch as one.
export function merged(regions) {
  const found = [];
  for (const [start, stop] of [...regions].sort((a, b) => a[0] - b[0])) {
    const last = found.at(-1);
    if (last && start <= last[1]) last[1] = Math.max(last[1], stop);
    else found.push([start, stop]);
  }
  return found;
}

// What the widgets name in a song of so many frames: the line or, without one, from start to end (negative: the song's end).
export function regionsOf({ start, end, regions }, frames) {
  const named = parse(regions);
  if (named === null || named.length) return named ?? [];
  const first = Math.min(LONGEST - 1, Math.max(0, frameAt(start))); // a workflow may name anything
  const stop = end < 0 ? Math.max(frames, first + 1) : Math.min(LONGEST, frameAt(end));
  return stop > first ? [[first, stop]] : [];
}

// The widgets that name these regions. One alone needs no line; open: it ended with the song, and still does.
export function widgetsOf(regions, frames, open = false) {
  if (!regions.length) return { start: 0, end: -1, regions: "" };
  const end = regions.at(-1)[1];
  const kept = open && regions.length === 1 && end >= frames;
  return { start: secondsOf(regions[0][0]), end: kept ? -1 : secondsOf(end), regions: regions.length > 1 ? print(regions) : "" };
}

// Moved as a whole, its length kept.
export function moved([start, stop], by, frames) {
  const shift = Math.min(Math.max(by, -start), Math.max(0, frames - stop));
  return [start + shift, stop + shift];
}

// One edge (0: start, 1: stop) put elsewhere; it never passes the other one.
export function resized([start, stop], edge, to, frames) {
  return edge === 0 ? [Math.min(Math.max(0, to), stop - 1), stop] : [start, Math.max(Math.min(frames, to), start + 1)];
}

// The frame of the nearest point within reach, or else the nearest frame. points: seconds, in order.
export function snapped(seconds, points = [], reach = 0) {
  let [from, to] = [0, points.length];
  while (from < to) {
    const middle = (from + to) >> 1;
    if (points[middle] < seconds) from = middle + 1;
    else to = middle;
  }
  const near = [points[from - 1], points[from]].filter((point) => point !== undefined && Math.abs(point - seconds) <= reach);
  const nearest = near.sort((a, b) => Math.abs(a - seconds) - Math.abs(b - seconds))[0] ?? seconds;
  return Math.min(LONGEST, Math.max(0, Math.round(nearest * RATE)));
}

// What the widgets name once the start or end of several regions was typed anew: their outer edges, which stay in order.
export function stretched({ start, end, regions }, frames) {
  const named = parse(regions) ?? [];
  if (!named.length) return { start, end, regions };
  named[0] = resized(named[0], 0, Math.round(start * RATE), LONGEST);
  named.push(resized(named.pop(), 1, end < 0 ? frames : Math.round(end * RATE), LONGEST));
  return widgetsOf(named, frames);
}
