// Where the sound of an input comes from, found by walking the wires; and how it is addressed. Takes graph-like objects.
import { LONGEST, regionsOf, secondsOf } from "./regions.js";

export const MOST_STEPS = 32;
export const BORDER = -10; // litegraph's id of a subgraph's own inputs
const [MUTED, BYPASSED] = [2, 4];
export const REGION = "AceGraphRegion";
const PLAYERS = [REGION, "AceGraphSaveAudio", "AceGraphPreviewAudio"];
const AUDIO_INPUT = [...PLAYERS, "AceGraphOobleckEncode", "TrimAudioDuration"];
const PART = 3; // the output of Region that is cut
const LATENT_INPUT = { AceGraphSampler: "source", AceGraphEdit: "source", AceGraphExtend: "latent" };

// A node that has left its graph has none, and so no wires.
export function linkOf(graph, id) {
  if (!graph || id === null || id === undefined) return null;
  return graph.getLink?.(id) ?? graph.links?.get?.(id) ?? graph.links?.[id] ?? null;
}

function boxOf(graph, root) {
  for (const node of root.nodes ?? []) {
    const found = node.subgraph && (node.subgraph === graph || node.subgraph.id === graph.id ? node : boxOf(graph, node.subgraph));
    if (found) return found;
  }
  return null;
}

export const typeOf = (node) => node.comfyClass ?? node.type;
export const widgetOf = (node, name) => node.widgets?.find((widget) => widget.name === name);
export const inputAt = (node, name) => node.inputs?.findIndex((input) => input.name === name) ?? -1;
export const isWired = (node, name) => (node.inputs?.[inputAt(node, name)]?.link ?? null) !== null;

// The widget that holds an input's value: its own, or that of the box around, which newer frontends show in its place; null
// where the value comes from another node.
export function holderOf(node, name, root) {
  const link = linkOf(node.graph, node.inputs?.[inputAt(node, name)]?.link);
  if (!link) return widgetOf(node, name) ?? null;
  const box = Number(link.origin_id) === BORDER && boxOf(node.graph, root);
  const input = box && box.inputs?.[link.origin_slot];
  if (!input?.widget) return null;
  return (input.link ?? null) === null ? (widgetOf(box, input.widget.name) ?? null) : holderOf(box, input.name, root);
}

// The input through which a bypassed node hands on what leaves by a slot.
function bypass(node, slot) {
  const type = node.outputs?.[slot]?.type;
  if (node.inputs?.[slot]?.type === type) return slot;
  return node.inputs?.findIndex((input) => input.type === type) ?? -1;
}

// What is wired to an input: { node, slot }, beyond reroutes, bypassed nodes and borders of subgraphs; null where nothing is.
export function origin(node, index, root, steps = { left: MOST_STEPS }) {
  if (steps.left-- <= 0) return null;
  const link = linkOf(node.graph, node.inputs?.[index]?.link);
  if (!link) return null;
  return arrived(node.graph, link, root, steps);
}

function arrived(graph, link, root, steps) {
  if (steps.left-- <= 0) return null;
  if (Number(link.origin_id) === BORDER) {
    const box = boxOf(graph, root);
    return box && origin(box, link.origin_slot, root, steps);
  }
  const from = graph.getNodeById(link.origin_id);
  if (!from || from.mode === MUTED) return null;
  if (from.mode === BYPASSED) return origin(from, bypass(from, link.origin_slot), root, steps);
  if (typeOf(from) === "Reroute") return origin(from, 0, root, steps);
  if (!from.subgraph) return { node: from, slot: link.origin_slot };
  const inner = linkOf(from.subgraph, from.subgraph.outputs?.[link.origin_slot]?.linkIds?.[0]);
  return inner && arrived(from.subgraph, inner, root, steps);
}

// A number that is typed in; null where it comes by wire.
function constant(node, name) {
  const value = widgetOf(node, name)?.value;
  return isWired(node, name) || typeof value !== "number" ? null : value;
}

// What is left of the sound that a node cuts: [start, seconds]; null where that comes by wire, or where it cannot be read.
function cutBy(node) {
  if (typeOf(node) !== REGION) return ["start_index", "duration"].map((name) => constant(node, name));
  const values = ["start", "end", "regions"].map((name) => [name, isWired(node, name) ? NaN : widgetOf(node, name)?.value]);
  const [first, ...more] = regionsOf(Object.fromEntries(values), LONGEST);
  return first ? [first[0], (more.at(-1) ?? first)[1] - first[0]].map(secondsOf) : [null];
}

// What can be known of the sound before a run:
//   { kind: "file", file, trims, room }   a recording, the cuts [start, seconds] made of it, first cut first, and the
//                                         seconds of [before, after] that are added then
//   { kind: "played", node, trims }       what a player of ours has played last
//   { kind: "unknown", seconds }          only a run can tell; seconds: its length, or null
//   { kind: "open" }                      nothing is wired, or what is wired is muted
export function sourceOf(node, root) {
  const steps = { left: MOST_STEPS };
  const [trims, room] = [[], [0, 0]];
  const known = () => !room.some(Number.isNaN);
  let name = typeOf(node) === "AceGraphChunkMask" ? "latent" : "audio";
  let [at, played, heard] = [node, null, true];
  for (;;) {
    const from = origin(at, inputAt(at, name), root, steps);
    if (!from) return at === node && steps.left > 0 ? { kind: "open" } : ending(null);
    at = from.node;
    const type = typeOf(at);
    if (type === "LoadAudio") return heard && known() ? { kind: "file", file: fileOf(widgetOf(at, "audio")?.value), trims, room } : ending(null);
    if (type === "AceGraphSilenceLatent") return ending(constant(at, "seconds"));
    if (type === "TrimAudioDuration" || (type === REGION && from.slot === PART)) {
      const cut = cutBy(at);
      if (cut.includes(null)) return ending(null);
      trims.unshift(cut);
    }
    if (type === "AceGraphExtend") ["before", "after"].forEach((side, place) => (room[place] += constant(at, side) ?? NaN));
    else if (LATENT_INPUT[type]) heard = false; // another sound of the same length
    if (heard && PLAYERS.includes(type)) played ??= { kind: "played", node: at, trims: [...trims] };
    if (type === "AceGraphOobleckDecode") [name, heard] = ["latent", false];
    else name = LATENT_INPUT[type] ?? (AUDIO_INPUT.includes(type) && "audio");
    if (!name) return ending(null);
  }

  function ending(seconds) {
    const length = seconds === null || trims.length || !known() ? null : seconds + room[0] + room[1];
    return played ?? { kind: "unknown", seconds: length };
  }
}

// All wires that lead to a node, the nearest first: { at, index } takes what { node, slot } gives.
export function wiresTo(node, root) {
  const [found, nodes] = [[], [node]];
  for (const at of nodes) {
    for (let index = 0; index < (at.inputs?.length ?? 0); index++) {
      const from = origin(at, index, root);
      if (!from) continue;
      found.push({ at, index, ...from });
      if (!nodes.includes(from.node)) nodes.push(from.node);
    }
  }
  return found;
}

// Everything that the sound of a node depends on, as one text: what was run is still what is seen where it is the same.
export function signatureOf(node, root) {
  const values = ({ widgets = [] }) => widgets.filter((widget) => widget.serialize !== false).map((widget) => widget.value);
  const named = ({ graph, id }) => `${graph?.id}/${id}`;
  return JSON.stringify(wiresTo(node, root).map(({ at, index, node: from, slot }) => [named(at), index, named(from), slot, typeOf(from), values(from)]));
}

// What the nearest conditions behind a sound say of it: beats per minute, 0 where it is open, and the sections of its lyrics.
export function briefOf(node, root) {
  const from = wiresTo(node, root).find(({ node: one }) => typeOf(one) === "AceGraphEncodeConditions")?.node;
  const said = (name) => from && holderOf(from, name, root)?.value;
  const lyrics = said("instrumental") ? "" : String(said("lyrics") ?? "");
  return { bpm: Number(said("bpm")) || 0, sections: (lyrics.match(/^\s*\[[^\]\n]+\]/gm) ?? []).map((tag) => tag.trim().slice(1, -1)) };
}

// "sub/a.mp3 [input]" as /view wants it; null where nothing is chosen.
export function fileOf(value) {
  if (typeof value !== "string" || !value) return null;
  const [, path, type = "input"] = value.match(/^(.*?)(?: \[(input|output|temp)\])?$/s);
  const cut = path.lastIndexOf("/");
  return { filename: path.slice(cut + 1), subfolder: path.slice(0, Math.max(0, cut)), type };
}

export const queryOf = ({ filename, subfolder = "", type = "input" }, mark) => "/view?" + new URLSearchParams({ filename, subfolder, type, ...(mark && { t: mark }) });

// What ComfyUI's Trim Audio Duration leaves of so many seconds: [from, to] of the recording; null where it refuses.
export function trimmed(seconds, trims) {
  let [from, to] = [0, seconds];
  for (const [start, length] of trims) {
    const first = Math.max(0, Math.min(start < 0 ? to - from + start : start, to - from));
    [from, to] = [from + first, Math.min(to, from + first + length)];
    if (from >= to) return null;
  }
  return [from, to];
}

// Outputs are filed under "node" in the main graph and under "subgraph:node" inside of one.
export function nodeAt(locator, root) {
  const [node, subgraph] = String(locator).split(":").reverse();
  return (subgraph ? root.subgraphs?.get(subgraph) : root)?.getNodeById(node);
}

// The nodes along an execution id, the outermost first: "4:1" is node 1 inside of the subgraph of node 4. Empty where one
// of them is not there.
export function nodesAlong(graph, id) {
  const found = [];
  for (const part of String(id).split(":")) {
    const node = graph?.getNodeById(part) ?? graph?.nodes?.find((one) => String(one.id) === part);
    if (!node) return [];
    found.push(node);
    graph = node.subgraph;
  }
  return found;
}

// Where a node is for the server: the ids of the boxes around it, and its own.
export function executionId(node, graph) {
  if (node.graph === graph) return String(node.id);
  for (const box of graph.nodes) {
    const inner = box.subgraph && executionId(node, box.subgraph);
    if (inner) return `${box.id}:${inner}`;
  }
  return "";
}

// Write a widget as if somebody had typed it.
export function write(widget, value) {
  if (!widget || widget.value === value) return;
  widget.value = value;
  widget.callback?.(value);
}
