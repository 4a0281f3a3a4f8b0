// Seconds and pixels.
import assert from "node:assert/strict";
import test from "node:test";
import { LEAST_BEAT, NARROWEST, around, beatsOf, inside, label, marks, paced, pixelAt, pointsOf, scrolled, secondsAt, tempoOf, usable, whole, zoomed } from "../../web/timeline.js";

const near = (a, b, by = 1e-9) => assert.ok(Math.abs(a - b) <= by, `${a} is not ${b}`);

test("pixels and seconds are each other's inverse", () => {
  const view = { from: 3, to: 11 };
  near(pixelAt(view, 400, 3), 0);
  near(pixelAt(view, 400, 11), 400);
  for (const pixel of [0, 17, 399.5]) near(pixelAt(view, 400, secondsAt(view, 400, pixel)), pixel, 1e-6);
});

test("zooming keeps the second under the pointer", () => {
  for (const factor of [1.2, 3, 0.8]) {
    const view = zoomed({ from: 40, to: 60 }, factor, 45, 100);
    near(pixelAt(view, 400, 45), 100);
    near(view.to - view.from, 20 / factor);
  }
});

test("a view never leaves the song and is never narrower than one can use", () => {
  assert.deepEqual(zoomed({ from: 0, to: 10 }, 0.01, 3, 10), { from: 0, to: 10 });
  const narrow = zoomed({ from: 0, to: 10 }, 1e9, 3, 10);
  near(narrow.to - narrow.from, NARROWEST);
  assert.deepEqual(scrolled({ from: 8, to: 10 }, 5, 10), { from: 8, to: 10 });
  assert.deepEqual(scrolled({ from: 8, to: 10 }, -50, 10), { from: 0, to: 2 });
  assert.deepEqual(inside({ from: -4, to: 40 }, 10), { from: 0, to: 10 });
  assert.deepEqual(whole(0), { from: 0, to: NARROWEST });
});

test("a region is shown with room around", () => {
  const view = around([20, 24], 100);
  assert.ok(view.from < 20 && view.to > 24 && view.to - view.from < 8);
});

test("marks are readable and on round seconds", () => {
  for (const [from, to] of [[0, 0.5], [0, 30], [12.3, 14.1], [0, 600]]) {
    const { step, found } = marks({ from, to }, 400);
    const apart = pixelAt({ from, to }, 400, from + step);
    assert.ok(apart >= 64 || step === 120, `${apart}`);
    assert.ok(found.length >= 1);
    for (const second of found) near(second / step, Math.round(second / step), 1e-6);
    assert.ok(found.every((second) => second >= from - 1e-6 && second <= to + 1e-6));
  }
});

test("labels", () => {
  assert.equal(label(0), "0:00");
  assert.equal(label(65), "1:05");
  assert.equal(label(65.5, 0.5), "1:05.5");
  assert.equal(label(5.04, 0.04), "0:05.04");
  assert.equal(label(59.999, 1), "1:00");
});

test("beats begin at the phase and go on to the end", () => {
  assert.deepEqual(beatsOf({ bpm: 120, phase: 1.25 }, 2), [0.25, 0.75, 1.25, 1.75]);
});

test("beats that one cannot choose among are not snapped to", () => {
  const beats = beatsOf({ bpm: 120 }, 100);
  assert.equal(usable(beats, { from: 0, to: 20 }, 400), beats); // 10 pixels each
  const wide = (0.5 * 400) / (LEAST_BEAT - 0.5);
  assert.deepEqual(usable(beats, { from: 0, to: wide }, 400), []);
  assert.deepEqual(usable(beats, { from: 0.6, to: 1.2 }, 400), []); // one is seen
});

test("a tempo that no node takes has no beats", () => {
  for (const bpm of [-120, 0, 1e12, Number.NaN]) assert.deepEqual(beatsOf({ bpm }, 60), []);
});

test("a tempo that is typed goes before that of the conditions, and both before an estimate", () => {
  const beats = { bpm: 99, phase: 0.25, estimated: true };
  assert.deepEqual(tempoOf(120, { beats, brief: { bpm: 90 } }), { bpm: 120, estimated: false });
  assert.deepEqual(tempoOf(0, { beats, brief: { bpm: 90 } }), { bpm: 90, estimated: false });
  assert.deepEqual(tempoOf(undefined, { beats, brief: { bpm: 0 } }), { bpm: 99, estimated: true });
  assert.deepEqual(tempoOf(0, { beats: { ...beats, estimated: false }, brief: { bpm: 0 } }), { bpm: 99, estimated: false }); // by wire
  assert.deepEqual(tempoOf(0, { beats: null, brief: { bpm: 0 } }), { bpm: 0, estimated: false });
});

test("twice and half, as far as anybody counts", () => {
  assert.deepEqual([paced(63.777, 2), paced(126, 0.5), paced(180, 2), paced(30, 0.5)], [127.55, 63, 180, 30]);
});

test("points are beats from the first one that is heard, or else where sounds begin, in the song's own seconds", () => {
  const onsets = [2.5, 3.25, 9];
  assert.deepEqual(pointsOf({ bpm: 0 }, { beats: null, offset: 3 }, onsets, 5), [0.25]);
  assert.deepEqual(pointsOf({ bpm: 0 }, { beats: null, offset: -1 }, onsets, 5), [3.5, 4.25]);
  assert.deepEqual(pointsOf({ bpm: 60 }, { beats: null, offset: 3 }, onsets, 3), [0.25, 1.25, 2.25]);
  assert.deepEqual(pointsOf({ bpm: 60 }, { beats: { phase: 0.5 }, offset: 3 }, onsets, 2), [0.5, 1.5]);
  assert.deepEqual(pointsOf({ bpm: 60 }, { beats: null, offset: 0 }, undefined, 1), [0, 1]);
  assert.deepEqual(beatsOf({ bpm: 60, phase: -0.75 }, 2), [0.25, 1.25]);
});
