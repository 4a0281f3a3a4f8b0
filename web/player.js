// Plays every item of a batch inside Save Audio and Preview Audio.
import { api } from "../../scripts/api.js";
import { app } from "../../scripts/app.js";
import { playerWords } from "./words.js";

const NODES = ["AceGraphSaveAudio", "AceGraphPreviewAudio"];
// ComfyUI's own audio code looks for a widget of this name on every node that lists audio files.
const WIDGET = "audioUI";
const ROW = 32; // pixels
const PLAYER = 54;

const players = new WeakMap(); // node -> what shows it a list of files

function make(tag, properties, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

function addressOf({ filename, subfolder, type }) {
  return api.apiURL("/view?" + new URLSearchParams({ filename, subfolder: subfolder ?? "", type, t: Date.now() }));
}

function addPlayer(node) {
  let files = [];
  let current = 0;

  const audio = make("audio", { controls: true, preload: "metadata" });
  const label = make("span", {});
  const previous = make("button", { type: "button", textContent: "\u25C0", onclick: () => choose(current - 1) });
  const next = make("button", { type: "button", textContent: "\u25B6", onclick: () => choose(current + 1) });
  const row = make("div", { className: "acegraph-songs" }, previous, label, next);
  const box = make("div", { className: "acegraph-player" }, row, audio);
  audio.style.cssText = "width: 100%; height: 40px; flex: none;";
  label.style.cssText = "flex: 1; min-width: 0; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; text-align: center;";
  row.style.cssText = "gap: 6px; align-items: center; font-size: 12px; color: var(--fg-color, #ddd);";
  box.style.cssText = "display: flex; flex-direction: column; justify-content: center; gap: 4px; box-sizing: border-box;";
  for (const button of [previous, next]) button.style.cssText = "width: 28px; cursor: pointer;";
  for (const event of ["pointerdown", "pointermove", "pointerup"]) box.addEventListener(event, (e) => e.stopPropagation());

  playerWords().then((words) => {
    previous.title = previous.ariaLabel = words.previousSong ?? "";
    next.title = next.ariaLabel = words.nextSong ?? "";
  });

  const height = () => (files.length > 1 ? PLAYER + ROW : PLAYER);
  const widget = node.addDOMWidget(WIDGET, "ACEGRAPH_PLAYER", box, {
    serialize: false,
    hideOnZoom: false,
    getMinHeight: height,
    getMaxHeight: height,
  });
  widget.serialize = false;

  function choose(index) {
    const plays = !audio.paused && !audio.ended;
    const moment = audio.ended ? 0 : audio.currentTime; // the same of every take, so that they can be compared
    current = (index + files.length) % files.length;
    audio.src = addressOf(files[current]);
    if (moment) audio.addEventListener("loadedmetadata", () => (audio.currentTime = moment), { once: true });
    label.textContent = label.title = `${current + 1} / ${files.length}  ${files[current].filename}`;
    if (plays) audio.play();
  }

  function show(listed) {
    if (JSON.stringify(listed) === JSON.stringify(files)) return;
    files = listed;
    row.style.display = files.length > 1 ? "flex" : "none";
    audio.removeAttribute("src"); // other songs begin at their beginning
    audio.load();
    if (files.length) choose(0);
    const [width, tall] = node.computeSize();
    node.setSize([Math.max(node.size[0], width), Math.max(node.size[1], tall)]);
    app.canvas?.setDirty(true, true);
  }

  const onRemove = widget.onRemove;
  widget.onRemove = function () {
    onRemove?.apply(this, arguments);
    audio.pause();
    audio.removeAttribute("src");
  };
  row.style.display = "none";
  players.set(node, show);
}

// Outputs are filed under "node" in the main graph and under "subgraph:node" inside of one.
function nodeOf(locator) {
  const [node, subgraph] = String(locator).split(":").reverse();
  const root = app.rootGraph ?? app.graph;
  return (subgraph ? root.subgraphs?.get(subgraph) : root)?.getNodeById(node);
}

app.registerExtension({
  name: "acestepgraph.player",

  nodeCreated(node) {
    if (!NODES.includes(node.comfyClass)) return;
    addPlayer(node);
    const onExecuted = node.onExecuted;
    node.onExecuted = function (output) {
      onExecuted?.apply(this, arguments);
      players.get(this)?.(output?.audio ?? []);
    };
  },

  // Another workflow tab was opened, or a finished run was taken from the history.
  onNodeOutputsUpdated(outputs) {
    for (const [locator, output] of Object.entries(outputs)) {
      if (output?.audio) players.get(nodeOf(locator))?.(output.audio);
    }
  },
});
