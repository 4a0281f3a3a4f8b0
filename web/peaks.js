// Waves as they are drawn: the lowest and highest sample of every hundredth of a second. Pure; the core's
// sound/peaks.py writes what is read here, and counts the same.

export const PAIRS_PER_SECOND = 100;
const MAGIC = "AGPK";
const VERSION = 1;
const HEADER = 16; // bytes
const FULL = 127;
const BEFORE = 5; // pairs, half a tenth of a second, with which what comes is compared
const APART = 8; // pairs between two onsets
const RISE = 0.12; // of the loudest, from which on something new begins to sound

// The bytes of a .peaks file -> {channels, rate, count, pairs}; pairs: Int8Array of lowest, highest for every channel
// of every moment. Throws what is wrong with a file of another kind.
export function readPeaks(buffer) {
  const view = new DataView(buffer);
  const magic = buffer.byteLength < HEADER ? "" : String.fromCharCode(...new Uint8Array(buffer, 0, MAGIC.length));
  if (magic !== MAGIC) throw new Error("This is no file of peaks.");
  if (view.getUint16(4, true) !== VERSION) throw new Error("These peaks are of another version.");
  const [channels, rate, count] = [view.getUint16(6, true), view.getUint32(8, true), view.getUint32(12, true)];
  if (!channels || !rate || buffer.byteLength !== HEADER + 2 * channels * count) throw new Error("These peaks are cut off.");
  return { channels, rate, count, pairs: new Int8Array(buffer, HEADER) };
}

// Seconds that peaks last.
export const secondsOf = (peaks) => peaks.count / peaks.rate;

// For so many columns of pixels between two moments: lowest and highest of each in -1 to 1, one after the other, over all
// channels. Outside of the sound there is silence; a column narrower than a pair shows the pair that it lies in.
export function columnsOf(peaks, from, to, width) {
  const columns = new Float32Array(2 * width);
  const row = 2 * peaks.channels;
  for (let column = 0; column < width; column++) {
    const left = (from + ((to - from) * column) / width) * peaks.rate;
    const right = (from + ((to - from) * (column + 1)) / width) * peaks.rate;
    const start = Math.floor(left + 1e-6);
    const stop = Math.max(start + 1, Math.ceil(right - 1e-6));
    let [low, high] = [FULL, -FULL];
    for (let at = Math.max(0, start) * row; at < Math.min(stop, peaks.count) * row; at += 2) {
      low = Math.min(low, peaks.pairs[at]);
      high = Math.max(high, peaks.pairs[at + 1]);
    }
    if (low > high) low = high = 0;
    columns[2 * column] = low / FULL;
    columns[2 * column + 1] = high / FULL;
  }
  return columns;
}

// Whether nothing is heard in them.
export const isFlat = (peaks) => peaks.pairs.every((step) => Math.abs(step) <= 1);

// The seconds at which something begins to sound: the wave is clearly wider there than it was just before.
export function onsetsOf(peaks) {
  const columns = columnsOf(peaks, 0, secondsOf(peaks), peaks.count);
  const widths = Array.from({ length: peaks.count }, (_, at) => columns[2 * at + 1] - columns[2 * at]);
  const least = RISE * widths.reduce((most, width) => Math.max(most, width), 4 / FULL);
  const found = [];
  for (let at = 0; at < widths.length; at++) {
    if (widths[at] - Math.max(0, ...widths.slice(Math.max(0, at - BEFORE), at)) < least) continue;
    found.push(at / peaks.rate);
    at += APART;
  }
  return found;
}
