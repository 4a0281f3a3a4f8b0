// What our widgets have to do with the page: elements, their place in a node, addresses, steps that can be undone.
import { api } from "../../scripts/api.js";
import { app } from "../../scripts/app.js";
import { nodeAt, queryOf } from "./sources.js";

const CALM = 250; // milliseconds between two looks, where less motion is wanted
// Looks that our widgets share; each brings them along, so that those of its own must be more specific.
const CSS = `
.acegraph { display: flex; flex-direction: column; box-sizing: border-box; font-size: 12px; color: var(--fg-color, #ddd); user-select: none; }
.acegraph :focus-visible { outline: 2px solid var(--fg-color, #ddd); outline-offset: -2px; }
.acegraph-bar { display: flex; gap: 4px; align-items: center; flex: none; }
.acegraph button, .acegraph select { font: inherit; color: inherit; cursor: pointer; white-space: nowrap; border-radius: 4px;
  background: var(--comfy-input-bg, #222); border: 1px solid var(--border-color, #666); }
.acegraph button:disabled { opacity: 0.45; cursor: default; }
.acegraph button[aria-pressed=true] { border-color: currentColor; }`;

export const root = () => app.rootGraph ?? app.graph;

export function make(tag, properties, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

// The outermost element of a widget, with more looks of its own.
export const dressed = (name, css, ...children) => make("div", { className: `acegraph ${name}` }, make("style", { textContent: CSS + css }), ...children);

export const button = (press, more) => make("button", { type: "button", onclick: press, ...more });

// What is pressed in an element neither moves the node nor the canvas; other buttons of the mouse do as ever.
export function keepPresses(element) {
  for (const name of ["pointerdown", "pointermove", "pointerup"]) {
    element.addEventListener(name, (event) => event.button <= 0 && event.buttons <= 1 && event.stopPropagation());
  }
}

// Put an element into a node, as a widget of a type that no frontend knows. gone: what is done when
// the node goes; heights are functions.
export function place(node, name, element, gone, getMinHeight, getMaxHeight) {
  const widget = node.addDOMWidget(name, `ACEGRAPH_${name}`, element, { serialize: false, hideOnZoom: false, getMinHeight, getMaxHeight });
  widget.serialize = false;
  const onRemove = widget.onRemove;
  widget.onRemove = function () {
    onRemove?.apply(this, arguments);
    gone();
  };
  return widget;
}

// Make a node large enough for its widgets, and so wide at least.
export function fit(node, least = 0) {
  const [width, height] = node.computeSize();
  node.setSize([Math.max(node.size[0], width, least), Math.max(node.size[1], height)]);
}

// Tell what a node's run has put out, when it was this run.
export function whenExecuted(node, show) {
  const before = node.onExecuted;
  node.onExecuted = function (output) {
    before?.apply(this, arguments);
    show(output);
  };
}

// Tell the outputs of all nodes: another workflow tab was opened, or a finished run was taken from the history.
export function eachOutput(outputs, show) {
  for (const [locator, output] of Object.entries(outputs ?? {})) {
    const node = output && nodeAt(locator, root());
    if (node) show(node, output);
  }
}

// mark: tells the content, so that a name that had another one before is not played from the browser's memory.
export const addressOf = (file, mark) => api.apiURL(queryOf(file, mark));

export const opened = () => app.extensionManager?.workflow?.activeWorkflow;

// What was done without the mouse, or after it was let go, becomes a step that can be undone.
export function noteStep() {
  const tracker = opened()?.changeTracker;
  (tracker?.captureCanvasState ?? tracker?.checkState)?.call(tracker);
}

// Do it with the next picture that is drawn, or more calmly.
export function soon(act) {
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) setTimeout(act, CALM);
  else requestAnimationFrame(act);
}
