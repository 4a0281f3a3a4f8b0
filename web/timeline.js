// The stretch of time that is seen: seconds to pixels and back, zoom, scroll, and the marks of the ruler. Nothing here knows the page.
const FASTEST = 1000; // beats a minute
const TYPED = [20, 300]; // beats a minute that a button makes
export const NARROWEST = 0.4; // seconds across the whole width
export const LEAST_BEAT = 8; // pixels, under which nobody could choose a beat
const STEPS = [0.04, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120];

// A view: { from, to } in seconds.
export const whole = (length) => ({ from: 0, to: Math.max(length, NARROWEST) });
export const pixelAt = (view, width, seconds) => ((seconds - view.from) / (view.to - view.from)) * width;
export const secondsAt = (view, width, pixel) => view.from + (pixel / width) * (view.to - view.from);

// Inside the song, its size kept as far as that goes.
export function inside({ from, to }, length) {
  const most = Math.max(length, NARROWEST);
  const size = Math.min(Math.max(to - from, NARROWEST), most);
  const start = Math.min(Math.max(from, 0), most - size);
  return { from: start, to: start + size };
}

// Larger (factor above 1) or smaller, the second `at` staying where it is.
export function zoomed(view, factor, at, length) {
  const size = Math.min(Math.max((view.to - view.from) / factor, NARROWEST), Math.max(length, NARROWEST));
  const share = (at - view.from) / (view.to - view.from);
  return inside({ from: at - share * size, to: at + (1 - share) * size }, length);
}

export const scrolled = (view, by, length) => inside({ from: view.from + by, to: view.to + by }, length);

// A region with some room around it.
export function around([start, stop], length) {
  const room = Math.max((stop - start) * 0.25, 0.2);
  return inside({ from: start - room, to: stop + room }, length);
}

// The seconds of the ruler's marks, as close together as is still read, and their distance.
export function marks(view, width, apart = 64) {
  const least = ((view.to - view.from) / Math.max(1, width)) * apart;
  const step = STEPS.find((size) => size >= least) ?? STEPS.at(-1);
  const found = [];
  for (let place = Math.ceil(view.from / step - 1e-6); place * step <= view.to + 1e-6; place++) found.push(place * step);
  return { step, found };
}

export function label(seconds, step = 1) {
  const digits = step < 0.1 ? 2 : step < 1 ? 1 : 0;
  const rounded = Number(seconds.toFixed(digits));
  const rest = (rounded % 60).toFixed(digits);
  return `${Math.floor(rounded / 60)}:${rest.padStart(digits ? digits + 3 : 2, "0")}`;
}

// The beats of a song, in seconds.
export function beatsOf({ bpm, phase = 0 }, length) {
  if (!(bpm > 0 && bpm <= FASTEST)) return []; // a workflow may name anything
  const apart = 60 / bpm;
  const found = [];
  for (let place = ((phase % apart) + apart) % apart; place <= length; place += apart) found.push(place);
  return found;
}

// The tempo of a sound: as it is typed or as its conditions have it, else as a run has heard it, or 0.
export function tempoOf(typed, { beats, brief }) {
  const known = typed || brief.bpm;
  return { bpm: known || beats?.bpm || 0, estimated: !known && Boolean(beats?.estimated) };
}

// Faster or slower by a factor, as far as anybody counts beats.
export function paced(bpm, factor) {
  const other = Number((bpm * factor).toFixed(2));
  return other < TYPED[0] || other > TYPED[1] ? bpm : other;
}

// What can be snapped to: the beats or, without a tempo, where something begins to sound. onsets: seconds of what is played.
export function pointsOf({ bpm }, { beats, offset }, onsets = [], end = 0) {
  const begins = onsets.map((second) => second - offset).filter((second) => second >= 0 && second <= end);
  return bpm ? beatsOf({ bpm, phase: beats?.phase ?? begins[0] ?? 0 }, end) : begins;
}

// The points that can be snapped to: none where they are too narrow to choose among, or fewer than two are seen.
export function usable(points, view, width) {
  const seen = points.filter((point) => point >= view.from && point <= view.to);
  if (seen.length < 2) return [];
  const apart = (seen.at(-1) - seen[0]) / (seen.length - 1);
  return (apart / (view.to - view.from)) * width < LEAST_BEAT ? [] : points;
}
