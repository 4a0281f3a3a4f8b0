// Draws songs: as a mere wave, or with its regions: ruler, beats, wave, what is chosen, playhead. It changes nothing but its canvas.
import { columnsOf, secondsOf } from "./peaks.js";
import { RATE } from "./regions.js";
import { label, marks, pixelAt } from "./timeline.js";

export const RULER = 16; // pixels
const DENSEST = 2; // pixels of the bitmap for one of the page
const FAINTEST = 0.01; // peak, up to which a wave is drawn larger

// All of a song, in the canvas's own colour; larger: as tall as there is room, however quiet it is.
export function drawWave(canvas, peaks, larger = false) {
  const dense = Math.min(DENSEST, devicePixelRatio || 1);
  const [width, height] = [canvas.clientWidth, canvas.clientHeight].map((size) => Math.round(size * dense));
  if (!width || !height) return;
  Object.assign(canvas, { width, height });
  const pen = canvas.getContext("2d");
  pen.fillStyle = getComputedStyle(canvas).color;
  const columns = peaks ? columnsOf(peaks, 0, secondsOf(peaks), width) : new Float32Array(2 * width);
  const half = height / 2 / (larger ? columns.reduce((most, value) => Math.max(most, Math.abs(value)), FAINTEST) : 1);
  for (let x = 0; x < width; x++) {
    const [low, high] = [columns[2 * x], columns[2 * x + 1]];
    pen.fillRect(x, height / 2 - high * half, 1, Math.max(dense / 2, (high - low) * half));
  }
}

// The page's own colours, and one of ours with enough contrast on them.
export function coloursOf(element) {
  const style = getComputedStyle(element);
  const [r = 0, g = 0, b = 0] = style.backgroundColor.match(/[\d.]+/g)?.map(Number) ?? [];
  const light = 0.3 * r + 0.59 * g + 0.11 * b > 128;
  return { text: style.color, region: light ? "#6d28d9" : "#b794ff" };
}

function hatch(context, left, right, top, bottom) {
  context.save();
  context.beginPath();
  context.rect(left, top, right - left, bottom - top);
  context.clip();
  context.beginPath();
  for (let x = Math.floor((left - bottom) / 8) * 8; x < right; x += 8) {
    context.moveTo(x, bottom);
    context.lineTo(x + bottom - top, top);
  }
  context.stroke();
  context.restore();
}

function ruler(context, { view, width, height, points, colours }) {
  context.fillStyle = context.strokeStyle = colours.text;
  context.font = "10px sans-serif";
  const { step, found } = marks(view, width);
  for (const second of found) {
    const x = Math.round(pixelAt(view, width, second)) + 0.5;
    context.globalAlpha = 0.7;
    if (x + 34 < width) context.fillText(label(second, step), x + 3, RULER - 5);
    context.globalAlpha = 0.25;
    context.fillRect(x, 0, 1, RULER);
  }
  context.globalAlpha = 0.3;
  for (const point of points) {
    if (point >= view.from && point <= view.to) context.fillRect(Math.round(pixelAt(view, width, point)), RULER, 1, height - RULER);
  }
}

function wave(context, spans, end, { view, width, height, peaks, offset, colours }) {
  const columns = columnsOf(peaks, view.from + offset, view.to + offset, width);
  const [middle, half] = [(RULER + height) / 2, (height - RULER) / 2 - 3];
  for (let x = 0, place = 0; x < Math.min(width, end); x++) {
    while (place < spans.length && spans[place][1] <= x) place++;
    const lit = spans[place]?.[0] <= x;
    context.globalAlpha = lit ? 1 : 0.4;
    context.fillStyle = lit ? colours.region : colours.text;
    const [low, high] = [columns[2 * x], columns[2 * x + 1]];
    context.fillRect(x, middle - high * half, 1, Math.max(1, (high - low) * half));
  }
}

// scene: { width, height, ratio, view, end, peaks, offset, regions, points, playhead, active, colours }; end: of the song.
export function paint(canvas, scene) {
  const { width, height, ratio, view, regions, active, playhead, colours } = scene;
  const [across, down] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== across) canvas.width = across;
  if (canvas.height !== down) canvas.height = down;
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  ruler(context, scene);

  const spans = regions.map((region) => region.map((frame) => pixelAt(view, width, frame / RATE)));
  const end = pixelAt(view, width, scene.end);
  context.fillStyle = context.strokeStyle = colours.region;
  spans.forEach(([left, right], place) => {
    if (right < 0 || left > width) return;
    context.globalAlpha = place === active ? 0.24 : 0.14;
    context.fillRect(left, RULER, right - left, height - RULER);
    context.globalAlpha = 0.22;
    hatch(context, Math.max(-8, left), Math.min(width + 8, right), RULER, height);
  });
  if (scene.peaks) wave(context, spans, end, scene);
  context.fillStyle = colours.region;
  context.globalAlpha = 1;
  for (const x of spans.flat()) {
    context.fillRect(Math.round(x) - 1, RULER, 2, height - RULER);
    context.fillRect(Math.round(x) - 4, RULER, 8, 9); // a grip
  }
  context.strokeStyle = colours.text;
  context.globalAlpha = 0.3;
  if (end < width) hatch(context, Math.max(0, end), width, RULER, height);
  context.fillStyle = colours.text;
  context.globalAlpha = 1;
  const x = playhead === null ? -1 : Math.round(pixelAt(view, width, playhead));
  if (x >= 0 && x <= width) context.fillRect(Math.min(x, width - 1), 0, 1, height);
}
