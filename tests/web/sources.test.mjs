// Walking the wires of graphs that are shaped like litegraph's.
import assert from "node:assert/strict";
import test from "node:test";
import { briefOf, executionId, fileOf, holderOf, isWired, nodesAlong, origin, queryOf, signatureOf, sourceOf, trimmed } from "../../web/sources.js";

class Graph {
  constructor(id = "root") {
    Object.assign(this, { id, nodes: [], links: new Map() });
  }
  add(comfyClass, values = {}, more = {}) {
    const widgets = Object.entries(values).map(([name, value]) => ({ name, value }));
    const node = { id: this.nodes.length + 1, comfyClass, graph: this, widgets, inputs: [], outputs: [], mode: 0, ...more };
    this.nodes.push(node);
    return node;
  }
  wire(from, to, name, type = "AUDIO", slot = 0) {
    const id = this.links.size + 1;
    this.links.set(id, { origin_id: from.id ?? from, origin_slot: slot });
    to.inputs.push({ name, type, link: id });
    if (from.outputs) from.outputs[slot] ??= { type };
    return id;
  }
  getLink = (id) => this.links.get(id);
  getNodeById = (id) => this.nodes.find((node) => String(node.id) === String(id));
}

const FILE = { filename: "a.mp3", subfolder: "sub", type: "input" };

function repaint() {
  const graph = new Graph();
  const load = graph.add("LoadAudio", { audio: "sub/a.mp3" });
  const encode = graph.add("AceGraphOobleckEncode");
  const mask = graph.add("AceGraphChunkMask", { start: 0, end: -1 });
  graph.wire(load, encode, "audio");
  graph.wire(encode, mask, "latent", "LATENT");
  return { graph, load, encode, mask };
}

test("a mask finds the recording behind its latent", () => {
  const { graph, mask } = repaint();
  assert.deepEqual(sourceOf(mask, graph), { kind: "file", file: FILE, trims: [], room: [0, 0] });
});

test("muted or not wired is open", () => {
  const { graph, encode, mask } = repaint();
  encode.mode = 2;
  assert.equal(sourceOf(mask, graph).kind, "open");
  assert.equal(sourceOf(graph.add("AceGraphRegion"), graph).kind, "open");
});

test("bypassed nodes and reroutes hand the sound on", () => {
  const { graph, load } = repaint();
  const other = graph.add("SomeFilter", {}, { mode: 4, outputs: [{ type: "AUDIO" }] });
  other.inputs.push({ name: "strength", type: "FLOAT", link: null });
  graph.wire(load, other, "audio");
  const reroute = graph.add("Reroute");
  graph.wire(other, reroute, "");
  const region = graph.add("AceGraphRegion");
  graph.wire(reroute, region, "audio");
  assert.deepEqual(sourceOf(region, graph), { kind: "file", file: FILE, trims: [], room: [0, 0] });
  other.mode = 0; // now it changes the sound
  assert.deepEqual(sourceOf(region, graph), { kind: "unknown", seconds: null });
});

test("cuts are told in their order", () => {
  const { graph, load } = repaint();
  const first = graph.add("TrimAudioDuration", { start_index: 2, duration: 20 });
  const second = graph.add("TrimAudioDuration", { start_index: -5, duration: 3 });
  const region = graph.add("AceGraphRegion");
  graph.wire(load, first, "audio");
  graph.wire(first, second, "audio");
  graph.wire(second, region, "audio");
  assert.deepEqual(sourceOf(region, graph).trims, [[2, 20], [-5, 3]]);
  graph.wire(load, second, "duration", "FLOAT");
  assert.deepEqual(sourceOf(region, graph), { kind: "unknown", seconds: null });
});

test("the part that a region cuts out is told as a cut, and the whole song that it hands on as none", () => {
  const { graph, load } = repaint();
  const region = graph.add("AceGraphRegion", { start: 0, end: 8.01, fade: 0, bpm: 0, regions: "" });
  const [encode, mask] = [graph.add("AceGraphOobleckEncode"), graph.add("AceGraphChunkMask")];
  graph.wire(load, region, "audio");
  const [whole, part] = [graph.wire(region, encode, "audio", "AUDIO", 0), graph.wire(region, graph.add("Unused"), "audio", "AUDIO", 3)];
  graph.wire(encode, mask, "latent", "LATENT");
  const cuts = (values = {}) => {
    for (const widget of region.widgets) widget.value = values[widget.name] ?? widget.value;
    return sourceOf(mask, graph).trims;
  };
  assert.equal(encode.inputs[0].link, whole);
  assert.deepEqual(cuts(), []);
  encode.inputs[0].link = part;
  assert.deepEqual(cuts(), [[0, 8]]); // on the grid, as the server cuts
  assert.deepEqual(trimmed(30, cuts({ start: 2, end: -1 })), [2, 30]);
  assert.deepEqual(cuts({ regions: "12-20.04, 4-5" }), [[4, 16.04]]); // from the first to the last of several
  assert.equal(trimmed(3, cuts()), null); // nothing of a song that ends before
  cuts({ regions: "chorus" });
  assert.deepEqual(sourceOf(mask, graph), { kind: "unknown", seconds: null });
  cuts({ regions: "" });
  graph.wire(load, region, "end", "FLOAT");
  assert.deepEqual(sourceOf(mask, graph), { kind: "unknown", seconds: null });
});

test("room that is added to a part stands around the part", () => {
  const { graph, load } = repaint();
  const region = graph.add("AceGraphRegion", { start: 4, end: 10, regions: "" });
  const encode = graph.add("AceGraphOobleckEncode");
  const longer = graph.add("AceGraphExtend", { before: 0, after: 12 });
  const mask = graph.add("AceGraphChunkMask");
  graph.wire(load, region, "audio");
  graph.wire(region, encode, "audio", "AUDIO", 3);
  graph.wire(encode, longer, "latent", "LATENT");
  graph.wire(longer, mask, "latent", "LATENT");
  assert.deepEqual(sourceOf(mask, graph), { kind: "file", file: FILE, trims: [[4, 6]], room: [0, 12] });
});

test("borders of subgraphs are crossed both ways", () => {
  const graph = new Graph();
  const load = graph.add("LoadAudio", { audio: "sub/a.mp3" });
  const inner = new Graph("inner");
  const box = graph.add("inner", {}, { subgraph: inner });
  graph.wire(load, box, "audio");
  const encode = inner.add("AceGraphOobleckEncode");
  const mask = inner.add("AceGraphChunkMask");
  inner.wire(-10, encode, "audio");
  inner.wire(encode, mask, "latent", "LATENT");
  assert.deepEqual(sourceOf(mask, graph), { kind: "file", file: FILE, trims: [], room: [0, 0] });

  const made = new Graph("made");
  const source = graph.add("made", {}, { subgraph: made });
  const loaded = made.add("LoadAudio", { audio: "b.wav" });
  made.outputs = [{ linkIds: [made.links.size + 1] }];
  made.links.set(1, { origin_id: loaded.id, origin_slot: 0 });
  box.inputs.length = 0;
  graph.wire(source, box, "audio");
  assert.equal(sourceOf(mask, graph).file.filename, "b.wav");
});

test("what a player of ours has played stands in for a sound that only a run makes", () => {
  const graph = new Graph();
  const decode = graph.add("AceGraphOobleckDecode");
  const save = graph.add("AceGraphSaveAudio");
  const region = graph.add("AceGraphRegion");
  graph.wire(decode, save, "audio");
  graph.wire(save, region, "audio");
  const found = sourceOf(region, graph);
  assert.equal(found.kind, "played");
  assert.equal(found.node, save);
});

test("the length of silence and of an extension is known before a run", () => {
  const graph = new Graph();
  const silence = graph.add("AceGraphSilenceLatent", { seconds: 30 });
  const longer = graph.add("AceGraphExtend", { before: 2, after: 10 });
  const mask = graph.add("AceGraphChunkMask");
  graph.wire(silence, longer, "latent", "LATENT");
  graph.wire(longer, mask, "latent", "LATENT");
  assert.deepEqual(sourceOf(mask, graph), { kind: "unknown", seconds: 42 });
  graph.wire(silence, silence, "seconds", "FLOAT");
  assert.deepEqual(sourceOf(mask, graph), { kind: "unknown", seconds: null });
});

test("what is added to a recording stands around it", () => {
  const { graph, encode } = repaint();
  const longer = graph.add("AceGraphExtend", { before: 2, after: 10 });
  const again = graph.add("AceGraphExtend", { before: 1, after: 0 });
  const mask = graph.add("AceGraphChunkMask");
  graph.wire(encode, longer, "latent", "LATENT");
  graph.wire(longer, again, "latent", "LATENT");
  graph.wire(again, mask, "latent", "LATENT");
  assert.deepEqual(sourceOf(mask, graph), { kind: "file", file: FILE, trims: [], room: [3, 10] });
  graph.wire(encode, again, "before", "FLOAT"); // nobody knows how much it will be
  assert.deepEqual(sourceOf(mask, graph), { kind: "unknown", seconds: null });
});

test("tempo and sections are those of the nearest conditions behind the sound", () => {
  const graph = new Graph();
  const lyrics = "[Verse 1]\nla [softly] la\n  [Chorus]\n[]\n";
  const [far, near] = [90, 120].map((bpm) => graph.add("AceGraphEncodeConditions", { bpm, lyrics, instrumental: false }));
  const [first, last] = [graph.add("AceGraphSampler"), graph.add("AceGraphSampler")];
  const region = graph.add("AceGraphRegion");
  graph.wire(far, first, "conditions", "ACEGRAPH_CONDITIONS");
  graph.wire(first, last, "source", "LATENT");
  graph.wire(near, last, "conditions", "ACEGRAPH_CONDITIONS");
  graph.wire(last, region, "audio");
  assert.deepEqual(briefOf(region, graph), { bpm: 120, sections: ["Verse 1", "Chorus"] });
  near.widgets[2].value = true; // nothing is sung
  graph.wire(first, near, "bpm", "INT"); // and only a run knows how fast
  assert.deepEqual(briefOf(region, graph), { bpm: 0, sections: [] });
  assert.deepEqual(briefOf(repaint().mask, graph), { bpm: 0, sections: [] });
});

test("a node is found again by where it is for the server", () => {
  const [graph, inner] = [new Graph(), new Graph("inner")];
  const region = inner.add("AceGraphRegion");
  graph.add("LoadAudio");
  graph.add("inner", {}, { subgraph: inner });
  assert.equal(executionId(region, graph), "2:1");
  assert.equal(executionId(graph.nodes[0], graph), "1");
  assert.equal(nodesAlong(graph, "2:1").at(-1), region);
});

test("a sampled recording is not the recording", () => {
  const { graph, encode } = repaint();
  const sampler = graph.add("AceGraphSampler");
  const decode = graph.add("AceGraphOobleckDecode");
  const region = graph.add("AceGraphRegion");
  graph.wire(encode, sampler, "source", "LATENT");
  graph.wire(sampler, decode, "latent", "LATENT");
  graph.wire(decode, region, "audio");
  assert.deepEqual(sourceOf(region, graph), { kind: "unknown", seconds: null });
});

test("a circle ends", () => {
  const graph = new Graph();
  const [one, other] = [graph.add("Reroute"), graph.add("Reroute")];
  graph.wire(one, other, "");
  graph.wire(other, one, "");
  const region = graph.add("AceGraphRegion");
  graph.wire(one, region, "audio");
  assert.equal(origin(region, 0, graph), null);
  assert.equal(sourceOf(region, graph).kind, "unknown");
});

test("files are addressed as ComfyUI serves them", () => {
  assert.deepEqual(fileOf("sub/a.mp3 [input]"), FILE);
  assert.deepEqual(fileOf("a b.wav [temp]"), { filename: "a b.wav", subfolder: "", type: "temp" });
  assert.equal(fileOf(""), null);
  assert.equal(fileOf(undefined), null);
  assert.equal(queryOf(FILE), "/view?filename=a.mp3&subfolder=sub&type=input");
  assert.equal(queryOf({ filename: "a.mp3", type: "temp" }, "new"), "/view?filename=a.mp3&subfolder=&type=temp&t=new");
});

test("wires on widgets are seen", () => {
  const node = { inputs: [{ name: "start", link: 3 }, { name: "end", link: null }] };
  assert.deepEqual(["start", "end", "fade"].map((name) => isWired(node, name)), [true, false, false]);
});

test("cuts leave what ComfyUI leaves", () => {
  assert.deepEqual(trimmed(30, []), [0, 30]);
  assert.deepEqual(trimmed(30, [[2, 20], [-5, 3]]), [17, 20]);
  assert.deepEqual(trimmed(30, [[-90, 5]]), [0, 5]);
  assert.deepEqual(trimmed(30, [[25, 60]]), [25, 30]);
  assert.equal(trimmed(30, [[40, 5]]), null);
});

test("a value that a box shows is held by the box, and one of another node by none", () => {
  const graph = new Graph();
  const inner = new Graph("inner");
  const shown = { name: "start", value: 7 };
  const box = graph.add("inner", {}, { subgraph: inner, widgets: [shown] });
  box.inputs.push({ name: "start", type: "FLOAT", link: null, widget: { name: "start" } });
  const mask = inner.add("AceGraphChunkMask", { start: 1, end: 2 });
  assert.equal(holderOf(mask, "end", graph), mask.widgets[1]);
  assert.equal(holderOf(mask, "start", graph), mask.widgets[0]);
  inner.wire(-10, mask, "start", "FLOAT");
  assert.equal(holderOf(mask, "start", graph), shown);
  box.inputs.length = 0;
  graph.wire(graph.add("PrimitiveFloat"), box, "start", "FLOAT");
  box.inputs[0].widget = { name: "start" };
  assert.equal(holderOf(mask, "start", graph), null);
});

test("the signature of a sound knows widgets, and by which output it comes", () => {
  const signed = (slot, value) => {
    const graph = new Graph();
    const stems = graph.add("Stems", { amount: value });
    const region = graph.add("AceGraphRegion");
    graph.wire(stems, region, "audio", "AUDIO", slot);
    return signatureOf(region, graph);
  };
  assert.equal(signed(0, 1), signed(0, 1));
  assert.notEqual(signed(0, 1), signed(0, 2));
  assert.notEqual(signed(0, 1), signed(1, 1));
});

test("a node that has left its graph has no wires", () => {
  const graph = new Graph();
  const region = graph.add("AceGraphRegion");
  graph.wire(graph.add("LoadAudio"), region, "audio", "AUDIO");
  const left = { ...region, graph: null };
  assert.equal(origin(left, 0, graph), null);
  assert.notEqual(origin(region, 0, graph), null);
});
