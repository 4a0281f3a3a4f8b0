// web/batch.js: what a batch of songs is, before anything is drawn or heard.
import assert from "node:assert/strict";
import { test } from "node:test";

import { clock, gainOf, isFavourite, lowered, songsOf, stepped, tableOf, toggled } from "../../web/batch.js";

const files = ["a.flac", "b.flac"].map((filename) => ({ filename, subfolder: "audio", type: "output" }));

test("songs are files with what is told beside them, and files alone where nothing or nonsense is told", () => {
  const told = [{ seconds: 30.5, lufs: -12.25, seed: "18446744073709551615", sampler: "4:1", wave: "x.peaks" }];
  const [first, second] = songsOf({ audio: files, acegraph_songs: told });
  assert.deepEqual(first, { file: files[0], key: "output/audio/a.flac", ...told[0], lines: [], place: null });
  const nothing = { lines: [], seconds: null, lufs: null, seed: null, sampler: null, wave: null, place: null };
  assert.deepEqual(second, { file: files[1], key: "output/audio/b.flac", ...nothing });
  const [odd] = songsOf({ audio: files, acegraph_songs: [{ seconds: "30", lufs: NaN, seed: 7, sheet: { length: 2 } }] });
  assert.deepEqual(odd, { file: files[0], key: first.key, ...nothing });
  assert.deepEqual(songsOf(undefined), []);
});

test("times are read in minutes", () => {
  assert.deepEqual([0, 9.9999, 61, 600, null, -1].map(clock), ["0:00", "0:10", "1:01", "10:00", "0:00", "0:00"]);
});

test("only the louder song of a pair is turned down, to the other one", () => {
  assert.equal(lowered({ lufs: -10 }, { lufs: -14.5 }), -4.5);
  assert.equal(lowered({ lufs: -14.5 }, { lufs: -10 }), 0);
  assert.equal(lowered({ lufs: null }, { lufs: -10 }), 0);
  assert.equal(lowered({ lufs: -10 }, undefined), 0);
  assert.ok(Math.abs(gainOf(-6.0206) - 0.5) < 1e-5);
});

test("a star belongs to a file, and to the seed when the song is played into another file", () => {
  const [song, other] = [{ key: "output//a", seed: "7" }, { key: "output//b", seed: "8" }];
  const stars = toggled(undefined, song);
  assert.deepEqual(stars, [{ seed: "7", file: "output//a" }]);
  assert.ok(isFavourite(stars, { key: "output//new", seed: "7" }));
  assert.ok(isFavourite(stars, { key: "output//a", seed: null }));
  assert.ok(!isFavourite(stars, other));
  assert.ok(!isFavourite([{ seed: null, file: "x" }], { key: "y", seed: null }));
  assert.deepEqual(toggled(toggled(stars, other), song), [{ seed: "8", file: "output//b" }]);
  assert.deepEqual(toggled([...stars, ...stars], song), []);
  for (const hostile of ["x", { length: 3 }, [null, 7], null]) assert.equal(isFavourite(hostile, song), false);
});

function sheetOf(rows, columns, count = rows.length * columns.length) {
  const audio = Array.from({ length: count }, (_, place) => ({ filename: `${place}.flac`, type: "temp" }));
  return { audio, acegraph_songs: audio.map(() => ({ sheet: [rows, columns] })) };
}

test("songs of a sheet make a table", () => {
  const songs = songsOf(sheetOf(["3", "5"], ["0.40", "x"]));
  assert.deepEqual(songs.map((song) => song.place.join()), ["3,0.40", "3,x", "5,0.40", "5,x"]);
  assert.deepEqual(tableOf(songs), { rows: ["3", "5"], columns: ["0.40", "x"], places: [[0, 0], [0, 1], [1, 0], [1, 1]] });
});

test("other songs do not", () => {
  const mixed = sheetOf(["3", "5"], ["1"]);
  mixed.acegraph_songs[1] = { sheet: [["3", "6"], ["1"]] };
  const hostile = [null, "x", [["3"]], [["3", 5], ["1"]], [3, 4]].map((sheet) => ({ ...sheetOf(["3", "5"], ["1"]), acegraph_songs: [{ sheet }, { sheet }] }));
  for (const output of [sheetOf(["3", "5"], ["1"], 4), sheetOf(["3"], ["1"]), mixed, ...hostile, { audio: files }]) {
    assert.equal(tableOf(songsOf(output)), null, JSON.stringify(output));
  }
  assert.equal(tableOf([]), null);
});

test("keys lead from song to song, in a table to the sides as well", () => {
  const songs = songsOf(sheetOf(["1", "2"], ["a", "b"]));
  const table = tableOf(songs);
  const from = (place, key, shape = table) => stepped(key, place, songs, shape);
  assert.deepEqual([from(0, "ArrowDown"), from(0, "Shift+ArrowRight"), from(3, "ArrowUp"), from(3, "Shift+ArrowLeft")], [2, 1, 1, 2]);
  assert.deepEqual([from(0, "ArrowUp"), from(1, "Shift+ArrowRight")], [0, 1]);
  assert.deepEqual([from(0, "ArrowDown", null), from(3, "ArrowDown", null)], [1, 3]);
  assert.deepEqual([from(0, "3"), from(0, "9"), from(2, "Home"), from(1, "End")], [2, 0, 0, 3]);
  assert.equal(from(0, "Delete"), null);
});
