// Regions in the browser, by the table that the server's parser is held to as well.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { LONGEST, MOST, frameAt, merged, moved, parse, print, regionsOf, resized, secondsOf, snapped, stretched, widgetsOf } from "../../web/regions.js";

const table = JSON.parse(readFileSync(new URL("../fixtures/regions.json", import.meta.url), "utf8"));

for (const { line, frames, printed } of table.read)
  test(`"${line}" is read and printed`, () => {
    assert.deepEqual(parse(line), frames);
    assert.equal(print(parse(line)), printed);
  });

for (const { line } of table.refused) test(`"${line}" is refused`, () => assert.equal(parse(line), null));

test("as many as the server takes, and no more", () => {
  const line = (count) => Array.from({ length: count }, (_, n) => `${n}-${n}.5`).join(",");
  assert.equal(parse(line(MOST)).length, MOST);
  assert.equal(parse(line(MOST + 1)), null);
});

test("every frame's seconds are its own again", () => {
  for (let frame = 0; frame <= LONGEST; frame++) assert.equal(frameAt(secondsOf(frame)), frame);
  for (let frame = 0; frame <= LONGEST; frame += 7) assert.equal(frameAt(Number(secondsOf(frame).toFixed(2))), frame);
});

test("merging leaves gaps between and keeps what was given", () => {
  const given = [[8, 9], [1, 4], [4, 6], [2, 3]];
  assert.deepEqual(merged(given), [[1, 6], [8, 9]]);
  assert.deepEqual(given, [[8, 9], [1, 4], [4, 6], [2, 3]]);
});

test("the line goes before start and end", () => {
  assert.deepEqual(regionsOf({ start: 1, end: 2, regions: "" }, 100), [[25, 50]]);
  assert.deepEqual(regionsOf({ start: 1, end: -1, regions: "" }, 100), [[25, 100]]);
  assert.deepEqual(regionsOf({ start: 1, end: 2, regions: "3-4, 0-1" }, 100), [[0, 25], [75, 100]]);
  assert.deepEqual(regionsOf({ start: 2, end: 1, regions: "" }, 100), []);
  assert.deepEqual(regionsOf({ start: 1, end: 2, regions: "verse" }, 100), []);
});

test("widgets name what was drawn", () => {
  assert.deepEqual(widgetsOf([], 100), { start: 0, end: -1, regions: "" });
  assert.deepEqual(widgetsOf([[25, 50]], 100), { start: 1, end: 2, regions: "" });
  assert.deepEqual(widgetsOf([[25, 100]], 100), { start: 1, end: 4, regions: "" });
  assert.deepEqual(widgetsOf([[25, 100]], 100, true), { start: 1, end: -1, regions: "" });
  assert.deepEqual(widgetsOf([[25, 90]], 100, true), { start: 1, end: 3.6, regions: "" });
  assert.deepEqual(widgetsOf([[0, 10], [25, 51]], 100), { start: 0, end: 2.04, regions: "0.00-0.40, 1.00-2.04" });
});

test("what is written is read again", () => {
  for (const drawn of [[[3, 77]], [[0, 1], [5, 9], [20, 14999]], [[0, LONGEST]]]) {
    assert.deepEqual(regionsOf(widgetsOf(drawn, LONGEST), LONGEST), drawn);
  }
});

test("a region moves as a whole and stops at the song's ends", () => {
  assert.deepEqual(moved([10, 20], 5, 100), [15, 25]);
  assert.deepEqual(moved([10, 20], -50, 100), [0, 10]);
  assert.deepEqual(moved([10, 20], 500, 100), [90, 100]);
  assert.deepEqual(moved([90, 120], 5, 100), [90, 120]); // beyond the end already: not pulled back unasked
});

test("an edge stops one frame before the other and at the song's ends", () => {
  assert.deepEqual(resized([10, 20], 0, 15, 100), [15, 20]);
  assert.deepEqual(resized([10, 20], 0, 30, 100), [19, 20]);
  assert.deepEqual(resized([10, 20], 0, -3, 100), [0, 20]);
  assert.deepEqual(resized([10, 20], 1, 2, 100), [10, 11]);
  assert.deepEqual(resized([10, 20], 1, 300, 100), [10, 100]);
});

test("snapping takes the nearest point in reach, or else the nearest frame", () => {
  const beats = [0.5, 1.0, 1.5];
  assert.equal(snapped(1.06, beats, 0.1), 25);
  assert.equal(snapped(0.95, beats, 0.1), 25);
  assert.equal(snapped(1.2, beats, 0.1), 30);
  assert.equal(snapped(1.26, beats, 0.5), 38); // 1.5 is nearer than 1.0
  assert.equal(snapped(0.05, beats, 0.1), 1);
  assert.equal(snapped(9, beats, 0.1), 225);
  assert.equal(snapped(1.033), 26);
  assert.equal(snapped(1.0199), 25);
  assert.equal(snapped(-3), 0);
  assert.equal(snapped(1e6), LONGEST);
});

test("typed numbers move the outer edges of several regions", () => {
  const regions = "1.00-2.00, 5.00-6.00";
  assert.deepEqual(stretched({ start: 0.4, end: 6, regions }, 250), { start: 0.4, end: 6, regions: "0.40-2.00, 5.00-6.00" });
  assert.deepEqual(stretched({ start: 1, end: 9, regions }, 250), { start: 1, end: 9, regions: "1.00-2.00, 5.00-9.00" });
  assert.deepEqual(stretched({ start: 1, end: -1, regions }, 250), { start: 1, end: 10, regions: "1.00-2.00, 5.00-10.00" });
  assert.deepEqual(stretched({ start: 3, end: 6, regions }, 250).regions, "1.96-2.00, 5.00-6.00");
  assert.deepEqual(stretched({ start: 3, end: 6, regions: "" }, 250), { start: 3, end: 6, regions: "" });
});

test("numbers that no node takes stay within the longest song", () => {
  assert.deepEqual(regionsOf({ start: 0, end: 1e12, regions: "" }, 100), [[0, LONGEST]]);
  assert.deepEqual(regionsOf({ start: 1e12, end: -1, regions: "" }, 100), [[LONGEST - 1, LONGEST]]);
});
