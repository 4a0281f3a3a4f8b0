// web/lines.js: lines of lyrics on the time of a song, before anything is drawn.
import assert from "node:assert/strict";
import { test } from "node:test";

import { laidOut, linesOf, sungAt } from "../../web/lines.js";

const lines = linesOf([[1, 3, "one"], [3, 4, "two"], [6, 8, "three"]]);

test("lines come in the order of their times, and nonsense is left out", () => {
  const told = [[6, 8, "b"], [1, 3, "<b>a</b>"], null, [1, 2], ["1", 2, "x"], [NaN, 2, "x"], [9, 5, "ends before it starts"], [-1, 0.5, "early"]];
  assert.deepEqual(linesOf(told), [
    { start: 0, end: 0.5, text: "early" },
    { start: 1, end: 3, text: "<b>a</b>" },
    { start: 6, end: 8, text: "b" },
    { start: 9, end: 9, text: "ends before it starts" },
  ]);
  for (const nothing of [undefined, null, "", {}, []]) assert.deepEqual(linesOf(nothing), []);
});

test("a line is sung from its start up to its end, none between two, and of two that overlap the later one", () => {
  const found = [0, 1, 2.99, 3, 4, 5.9, 6, 8].map((moment) => sungAt(lines, moment));
  assert.deepEqual(found, [-1, 0, 0, 1, -1, -1, 2, -1]);
  assert.equal(sungAt(linesOf([[0, 5, "a"], [2, 6, "b"]]), 3), 1);
  assert.equal(sungAt([], 0), -1);
});

test("lines lie where they are sung, never over each other, never outside of the song, and can all be pressed", () => {
  assert.deepEqual(laidOut(lines, 10), [{ left: 0.1, width: 0.3 - 0.1 }, { left: 0.3, width: 0.4 - 0.3 }, { left: 0.6, width: 0.8 - 0.6 }]);
  const [first, second] = laidOut(linesOf([[0, 5, "a"], [2, 60, "b"]]), 10);
  assert.deepEqual([first, second], [{ left: 0, width: 0.2 }, { left: 0.2, width: 0.8 }]);
  const [short, late] = laidOut(linesOf([[1, 1, "a"], [12, 13, "behind the end"]]), 10, 0.01);
  assert.deepEqual([short.left, short.width], [0.1, 0.01]);
  assert.ok(late.left + late.width <= 1 + 1e-9 && late.width >= 0.01);
  assert.deepEqual([laidOut(lines, 0), laidOut(lines, null), laidOut([], 10)], [[], [], []]);
});
