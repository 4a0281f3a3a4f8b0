// web/peaks.js against the cases that the core writes, and against plain loops.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { columnsOf, isFlat, onsetsOf, readPeaks, secondsOf } from "../../web/peaks.js";

const cases = JSON.parse(readFileSync(new URL("../fixtures/peaks.json", import.meta.url), "utf-8"));

function bytesOf(hex) {
  return Uint8Array.from(hex.match(/../g), (pair) => parseInt(pair, 16)).buffer;
}

// As the core counts what it writes.
function peaksOf(channels, rate) {
  const count = Math.ceil((channels[0].length * 100) / rate);
  const pairs = new Int8Array(2 * count);
  for (let at = 0; at < count; at++) {
    const inside = channels.flatMap((channel) => Array.from(channel.slice((at * rate) / 100, Math.max((at * rate) / 100 + 1, ((at + 1) * rate) / 100))));
    pairs.set([Math.floor(127 * Math.min(...inside)), Math.ceil(127 * Math.max(...inside))].map((step) => Math.max(-127, Math.min(127, step))), 2 * at);
  }
  return { channels: 1, rate: 100, count, pairs };
}

for (const { name, rate, samples, file } of cases) {
  test(`the browser reads what the core writes: ${name}`, () => {
    const read = readPeaks(bytesOf(file));
    assert.deepEqual(read, peaksOf(samples, rate));
    assert.equal(secondsOf(read), Math.ceil((samples[0].length * 100) / rate) / 100);
  });
}

test("another file is refused in words", () => {
  const whole = bytesOf(cases[0].file);
  const changed = (place, value) => {
    const bytes = new Uint8Array(whole.slice(0));
    bytes[place] = value;
    return bytes.buffer;
  };
  assert.throws(() => readPeaks(new ArrayBuffer(0)), /no file of peaks/);
  assert.throws(() => readPeaks(new TextEncoder().encode("<!DOCTYPE html><html>").buffer), /no file of peaks/);
  assert.throws(() => readPeaks(changed(4, 2)), /another version/);
  assert.throws(() => readPeaks(changed(6, 0)), /cut off/);
  assert.throws(() => readPeaks(whole.slice(0, -1)), /cut off/);
});

test("columns hold every peak that lies in them", () => {
  const pairs = Int8Array.from([-127, 0, 0, 127, -10, 20, 0, 0]);
  const peaks = { channels: 1, rate: 100, count: 4, pairs };
  const steps = (columns) => Array.from(columns, (value) => Math.round(value * 127));
  assert.deepEqual(steps(columnsOf(peaks, 0, 0.04, 2)), [-127, 127, -10, 20]);
  assert.deepEqual(steps(columnsOf(peaks, 0, 0.04, 4)), Array.from(pairs));
  assert.deepEqual(steps(columnsOf(peaks, 0.02, 0.03, 3)), [-10, 20, -10, 20, -10, 20]); // zoomed in
  assert.deepEqual(steps(columnsOf(peaks, -0.02, 0.06, 4)), [0, 0, -127, 127, -10, 20, 0, 0]); // beyond both ends
});

test("of several channels the widest is shown", () => {
  const peaks = { channels: 2, rate: 100, count: 1, pairs: Int8Array.from([-5, 1, -1, 9]) };
  assert.deepEqual(Array.from(columnsOf(peaks, 0, 0.01, 1), (value) => Math.round(value * 127)), [-5, 9]);
});

test("silence is told from sound", () => {
  assert.equal(isFlat(peaksOf([new Float32Array(4800)], 48000)), true);
  assert.equal(isFlat(peaksOf([new Float32Array(4800).fill(0.1)], 48000)), false);
});

test("sounds begin where bursts are, however loud, and nowhere in silence or in a steady tone", () => {
  const rate = 24_000;
  for (const [loud, hum] of [[1, 0], [0.02, 0], [0.5, 0.1]]) {
    const samples = Float32Array.from({ length: 4 * rate }, (_, at) => hum * Math.sin((2 * Math.PI * 50 * at) / rate));
    for (const start of [1, 1.5, 2.37]) {
      for (let at = 0; at < rate / 10; at++) samples[Math.round(start * rate) + at] += loud * Math.cos(at / 3) * Math.exp(-at / 600);
    }
    const found = onsetsOf(peaksOf([samples], rate));
    assert.deepEqual(found.filter((second) => second > 0.1), [1, 1.5, 2.37]);
  }
  assert.deepEqual(onsetsOf(peaksOf([new Float32Array(rate)], rate)), []);
  const tone = Float32Array.from({ length: 3 * rate }, (_, at) => 0.6 * Math.sin((2 * Math.PI * 60 * at) / rate));
  assert.deepEqual(onsetsOf(peaksOf([tone], rate)), [0]);
});
