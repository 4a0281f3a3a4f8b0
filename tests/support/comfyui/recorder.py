"""Writes down every sample that a page's players send to the speakers, behind the analyser of web/sound.js."""

import base64

import numpy as np

from support.comfyui.editor import Editor, until

Samples = np.ndarray
SILENT = 1e-3  # of full scale
START = """async (address) => {
  const analyser = (await import(address)).tap();
  if (!analyser) return false;
  const { context } = analyser;
  if (!window.recorder) {
    const code = `registerProcessor("recorder", class extends AudioWorkletProcessor {
      process([input]) { if (input[0]) this.port.postMessage(input[0].slice()); return true; } })`;
    await context.audioWorklet.addModule(URL.createObjectURL(new Blob([code], { type: "text/javascript" })));
    window.recorder = new AudioWorkletNode(context, "recorder", { channelCount: 1, channelCountMode: "explicit" });
    analyser.connect(window.recorder).connect(context.destination);
    window.recorder.port.onmessage = ({ data }) => window.recorded.push(data);
  }
  window.recorded = [];
  return true;
}"""
TAKE = """async () => {
  const pieces = window.recorded;
  const bytes = new Uint8Array(await new Blob(pieces).arrayBuffer());
  let text = "";
  for (let at = 0; at < bytes.length; at += 32768) text += String.fromCharCode(...bytes.subarray(at, at + 32768));
  return [window.recorder.context.sampleRate, btoa(text)];
}"""


def record(editor: Editor) -> None:
    """Begin anew; something must have been played in this page before."""
    (address,) = (one for one in editor.server.get("/extensions") if one.endswith("/sound.js"))
    until(lambda: editor.js(START, address), "something can be recorded")


def recorded(editor: Editor) -> tuple[Samples, int]:
    """What was heard since then, and its rate, without the silence before and after."""
    rate, text = editor.js(TAKE)
    samples = np.frombuffer(base64.b64decode(text), "<f4")
    (loud,) = np.nonzero(np.abs(samples) > SILENT)
    return (samples[loud[0] : loud[-1] + 1] if len(loud) else samples[:0]), rate


def power(samples: Samples, rate: int, pitch: float, window: float) -> Samples:
    """Of a pitch (Hz) in each window of so many seconds, 1 for a full sine."""
    size = round(window * rate)
    pieces = samples[: len(samples) // size * size].reshape(-1, size)
    turns = np.exp(-2j * np.pi * pitch * np.arange(size) / rate) * np.hanning(size)
    return np.abs(pieces @ turns / (np.hanning(size).sum() / 2)) ** 2
