// web/sound.js as far as it needs no browser; what is really heard, tests/browser listens to.
import assert from "node:assert/strict";
import { test } from "node:test";

import { claim, equalPower, release, tap } from "../../web/sound.js";

function owner() {
  return { stops: 0, stop() { this.stops++; } };
}

test("importing it makes no sound and asks for none", () => {
  assert.equal(tap(), null);
});

test("whoever begins stops the one before, and nobody else", () => {
  const [first, second, third] = [owner(), owner(), owner()];
  claim(first);
  claim(first);
  assert.equal(first.stops, 0);
  claim(second);
  claim(third);
  assert.deepEqual([first.stops, second.stops, third.stops], [1, 1, 0]);
  release(first); // who is not heard has nothing to give up
  claim(first);
  assert.equal(third.stops, 1);
  release(first);
  claim(second);
  assert.equal(first.stops, 1);
});

test("a crossfade keeps its power", () => {
  const rise = equalPower(8);
  const fall = [...rise.slice(0, -1).reverse(), 0];
  assert.equal(rise.at(-1), 1);
  for (const [place, gain] of rise.entries()) {
    assert.ok(Math.abs(gain ** 2 + fall[place] ** 2 - 1) < 1e-12);
    assert.ok(gain > (rise[place - 1] ?? 0));
  }
});
