// Sends the seed of a song to the Sampler that played it. Takes graph-like objects: pure but for what it writes into them.
import { BORDER, linkOf, nodesAlong, typeOf, write } from "./sources.js";

const CONTROL = "control_after_generate";

// An input followed outwards from a node (the last of these) through the boxes that show it: whether another node gives
// it, and else the widgets of it.
function followed(nodes, name) {
  const widgets = [];
  for (const node of [...nodes].reverse()) {
    const slot = node.inputs?.find((input) => input.name === name);
    const widget = node.widgets?.find((one) => one.name === (slot?.widget?.name ?? name));
    if (widget) widgets.push(widget);
    if (slot?.link == null) return { wired: false, widgets };
    const link = linkOf(node.graph, slot.link);
    const outer = Number(link?.origin_id) === BORDER && node.graph.inputs?.[link.origin_slot];
    if (!outer) break;
    name = outer.name;
  }
  return { wired: true, widgets };
}

// Writes the seed, so that the song is the first one of the next run. -> the word for what became of it.
export function sendSeed(root, song) {
  const nodes = song.sampler === null ? [] : nodesAlong(root, song.sampler);
  const sampler = nodes.at(-1);
  if (!sampler || typeOf(sampler) !== "AceGraphSampler") return "seedUnknown";
  if (followed(nodes, "noise").wired) return "seedFromRetake";
  const { wired, widgets } = followed(nodes, "seed");
  if (wired || !widgets.length) return "seedWired";
  const seed = Number(song.seed);
  if (song.seed === null || !Number.isSafeInteger(seed)) return "seedUnknown";
  for (const widget of widgets) write(widget, seed);
  const controls = [...widgets.flatMap((one) => one.linkedWidgets ?? []), ...sampler.widgets];
  for (const widget of controls) if (widget.name === CONTROL) write(widget, "fixed");
  return "seedSent";
}
