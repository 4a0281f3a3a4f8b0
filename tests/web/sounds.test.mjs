// web/sounds.js against a server that answers when it is told to.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { mock, test } from "node:test";

import "./comfyui.mjs";

const { soundAt } = await import("../../web/sounds.js");
const { file } = JSON.parse(readFileSync(new URL("../fixtures/peaks.json", import.meta.url), "utf-8"))[0];
const PEAKS = Uint8Array.from(file.match(/../g), (pair) => parseInt(pair, 16));

mock.timers.enable({ apis: ["setTimeout"] });
const asked = []; // { address, answer(status, seconds), fail() }
globalThis.fetch = (address) =>
  new Promise((resolve, reject) => {
    const answer = (status, seconds) => resolve(new Response(status === 200 ? PEAKS : null, { status, headers: seconds ? { "Acegraph-Seconds": seconds } : {} }));
    asked.push({ address, answer, fail: () => reject(new TypeError("nobody is there")) });
  });
const settled = () => new Promise((resolve) => setImmediate(resolve));
const addresses = () => asked.splice(0).map(({ address }) => address);

test("recordings are drawn one after the other, and who waits is told", async () => {
  const told = [];
  const sounds = ["a", "b"].map((name) => soundAt(`/view?filename=${name}`, () => told.push(name)));
  await settled();
  assert.deepEqual(asked.map(({ address }) => address), ["/api/acegraph/peaks?filename=a"]);
  asked.pop().answer(200, "2.5");
  await settled();
  assert.deepEqual([sounds[0].state, sounds[0].seconds, told], ["ready", 2.5, ["a"]]);
  assert.deepEqual(asked.map(({ address }) => address), ["/api/acegraph/peaks?filename=b"]);
  asked.pop().fail(); // and the next one is not kept waiting
  soundAt("/view?filename=c", () => {});
  await settled();
  assert.deepEqual([sounds[1].state, told], ["loading", ["a", "b"]]);
  asked.at(-1).answer(200);
  assert.deepEqual(addresses(), ["/api/acegraph/peaks?filename=c"]);
});

test("what is known is not asked for again, by whomever", async () => {
  assert.equal(soundAt("/view?filename=a", () => assert.fail("there is no news")).state, "ready");
  await settled();
  assert.deepEqual(addresses(), []);
});

test("peaks that a run has written wait for no recording", async () => {
  soundAt("/view?filename=slow", () => {});
  const sound = soundAt("/view?filename=run", () => {}, "/view?filename=run.peaks");
  await settled();
  const [slow, peaks] = asked.splice(0).toSorted((one, other) => (one.address < other.address ? -1 : 1));
  assert.deepEqual([slow.address, peaks.address], ["/api/acegraph/peaks?filename=slow", "/api/view?filename=run.peaks"]);
  peaks.answer(200);
  await settled();
  assert.equal(sound.state, "ready");
  assert.ok(sound.seconds > 0); // as the peaks count it
  slow.answer(200);
});

for (const [status, state] of [[404, "gone"], [413, "large"], [415, "unreadable"], [500, "loading"]]) {
  test(`an answer of ${status} means: ${state}`, async () => {
    const sound = soundAt(`/view?filename=${status}`, () => {});
    await settled();
    asked.pop().answer(status, status === 413 ? "1900" : null);
    await settled();
    assert.deepEqual([sound.state, sound.seconds], [state, status === 413 ? 1900 : null]);
  });
}

for (const [case_, passes] of [["is not there", true], ["does not answer", true], ["cannot be read", false]]) {
  test(`a recording that ${case_} is ${passes ? "asked for again, but not at once" : "left alone"}`, async () => {
    const address = `/view?filename=${encodeURIComponent(case_)}`;
    soundAt(address, () => {});
    await settled();
    const first = asked.pop();
    if (case_ === "does not answer") first.fail();
    else first.answer(passes ? 404 : 415);
    await settled();
    mock.timers.tick(4900);
    soundAt(address, () => {});
    await settled();
    assert.deepEqual(addresses(), []);
    mock.timers.tick(200);
    soundAt(address, () => {});
    await settled();
    const again = asked.splice(0);
    assert.equal(again.length, passes ? 1 : 0);
    again[0]?.answer(200);
    await settled();
    assert.equal(soundAt(address, () => {}).state, passes ? "ready" : "unreadable");
  });
}

test("of many recordings the ones used last are kept", async () => {
  const ask = async (name) => {
    soundAt(`/view?filename=${name}`, () => {});
    await settled();
    const [one] = asked.splice(0);
    one?.answer(200);
    await settled();
    return Boolean(one);
  };
  await ask("first");
  for (let place = 0; place < 23; place++) {
    assert.equal(await ask(`more${place}`), true);
    assert.equal(await ask("first"), false);
  }
  assert.equal(await ask("another"), true);
  assert.equal(await ask("first"), false);
  assert.equal(await ask("more0"), true);
});
