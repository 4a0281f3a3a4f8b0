// web/seeds.js: where the seed of a song goes, in graphs as both frontends have them.
import assert from "node:assert/strict";
import { test } from "node:test";

import { sendSeed } from "../../web/seeds.js";
import { nodesAlong } from "../../web/sources.js";

const INPUTS = -10;

function graphOf(nodes, more = {}) {
  const graph = { links: new Map(), getNodeById: (id) => nodes.find((node) => String(node.id) === String(id)), ...more };
  for (const node of nodes) node.graph = graph;
  return graph;
}

function sampler(links = {}) {
  const seed = { name: "seed", value: 1, calls: [], callback(value) { this.calls.push(value); } };
  const control = { name: "control_after_generate", value: "randomize" };
  const input = (name, more) => ({ name, link: links[name] ?? null, ...more });
  return { id: 7, comfyClass: "AceGraphSampler", widgets: [seed, control], inputs: [input("noise"), input("seed", { widget: { name: "seed" } })] };
}

const song = (more) => ({ seed: "42", sampler: "7", ...more });
const values = (node) => node.widgets.map((widget) => widget.value);

test("the seed is written, told of, and stays", () => {
  const node = sampler();
  assert.equal(sendSeed(graphOf([node]), song()), "seedSent");
  assert.deepEqual(values(node), [42, "fixed"]);
  assert.deepEqual(node.widgets[0].calls, [42]);
});

for (const [why, links, more, became] of [
  ["Retake gives the seeds", { noise: 3 }, {}, "seedFromRetake"],
  ["the seed is wired", { seed: 3 }, {}, "seedWired"],
  ["nobody knows the Sampler", {}, { sampler: null }, "seedUnknown"],
  ["the Sampler is gone", {}, { sampler: "8" }, "seedUnknown"],
  ["nobody knows the seed", {}, { seed: null }, "seedUnknown"],
  ["the editor cannot hold the seed", {}, { seed: "18446744073709551615" }, "seedUnknown"],
]) {
  test(`nothing is written where ${why}`, () => {
    const node = sampler(links);
    const graph = graphOf([node]);
    graph.links.set(3, { origin_id: 5, origin_slot: 0 });
    assert.equal(sendSeed(graph, song(more)), became);
    assert.deepEqual(values(node), [1, "randomize"]);
  });
}

test("another node with the Sampler's id is no Sampler", () => {
  assert.equal(sendSeed(graphOf([{ ...sampler(), comfyClass: "KSampler" }]), song()), "seedUnknown");
});

function boxed(outer = null) {
  const node = sampler({ seed: 3 });
  const inside = graphOf([node], { inputs: [{ name: "song" }, { name: "its seed" }] });
  inside.links.set(3, { origin_id: INPUTS, origin_slot: 1 });
  const widgets = [{ name: "its seed", value: 5, linkedWidgets: [{ name: "control_after_generate", value: "increment" }] }];
  const box = { id: 4, subgraph: inside, widgets, inputs: [{ name: "its seed", link: outer, widget: { name: "its seed" } }] };
  const root = graphOf([box]);
  root.links.set(9, { origin_id: 1, origin_slot: 0 });
  return { node, box, root };
}

test("in a box the seed is written where it is shown as well", () => {
  const { node, box, root } = boxed();
  assert.equal(nodesAlong(root, "4:7").at(-1), node);
  assert.equal(sendSeed(root, song({ sampler: "4:7" })), "seedSent");
  assert.deepEqual([...values(node), box.widgets[0].value, box.widgets[0].linkedWidgets[0].value], [42, "fixed", 42, "fixed"]);
});

test("a seed that is wired to a box is wired", () => {
  const { node, root } = boxed(9);
  assert.equal(sendSeed(root, song({ sampler: "4:7" })), "seedWired");
  assert.deepEqual(values(node), [1, "randomize"]);
});
