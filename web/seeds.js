// Sends the seed of a song to the Sampler that played it. Takes graph-like objects: pure but for what it writes into them.

const SAMPLER = "AceGraphSampler";
const CONTROL = "control_after_generate";
const BOX_INPUTS = -10; // where wires from the inputs of a box begin, inside of it

// The node of an id as prompts have it: with the boxes that it is in, and colons between.
export function nodeAt(root, id) {
  const path = String(id).split(":");
  let graph = root;
  for (const box of path.slice(0, -1)) graph = graph?.getNodeById(box)?.subgraph;
  return graph?.getNodeById(path.at(-1));
}

// An input followed outwards through the boxes that show it: whether a node gives it, and else the widgets of it.
function followed(root, id, name) {
  const path = String(id).split(":");
  const widgets = [];
  for (;;) {
    const node = nodeAt(root, path.join(":"));
    const slot = node?.inputs?.find((input) => input.name === name);
    const widget = node?.widgets?.find((one) => one.name === (slot?.widget?.name ?? name));
    if (widget) widgets.push(widget);
    if (slot?.link == null) return { wired: false, widgets };
    const graph = node.graph;
    const link = graph.getLink?.(slot.link) ?? graph.links?.get?.(slot.link) ?? graph.links?.[slot.link];
    const outer = link && Number(link.origin_id) === BOX_INPUTS && path.length > 1 && graph.inputs?.[link.origin_slot];
    if (!outer) return { wired: true, widgets };
    name = outer.name;
    path.pop();
  }
}

// Writes the seed, so that the song is the first one of the next run. -> the word for what became of it.
export function sendSeed(root, song) {
  const sampler = song.sampler === null ? null : nodeAt(root, song.sampler);
  if ((sampler?.comfyClass ?? sampler?.type) !== SAMPLER) return "unknown";
  if (followed(root, song.sampler, "noise").wired) return "retake";
  const { wired, widgets } = followed(root, song.sampler, "seed");
  if (wired || !widgets.length) return "wired";
  const seed = Number(song.seed);
  if (song.seed === null || !Number.isSafeInteger(seed)) return "unknown";
  const controls = [...widgets.flatMap((one) => one.linkedWidgets ?? []), ...sampler.widgets].filter((one) => one.name === CONTROL);
  for (const [widget, value] of [...widgets.map((one) => [one, seed]), ...controls.map((one) => [one, "fixed"])]) {
    if (widget.value === value) continue;
    widget.value = value;
    widget.callback?.(value);
  }
  return "sent";
}
