// Recordings, decoded in the browser to be drawn. Samples are dropped as soon as their peaks are known.
import { api } from "../../scripts/api.js";
import { app } from "../../scripts/app.js";
import { onsetsOf, readPeaks, reducePeaks, secondsOf } from "./peaks.js";
import { unload } from "./sound.js";
import { briefOf, queryOf, signatureOf, sourceOf, trimmed } from "./sources.js";

const MOST_BYTES = 150e6;
const MOST_SECONDS = 1200;
const KEPT = 24;
const known = new Map(); // address -> { state, seconds, peaks, onsets }
const AGAIN = 5; // seconds until a file that was not there is asked for again
let turn = Promise.resolve(); // one after the other, so that memory holds one at a time

// Its length and peaks, now or later; state: "loading", "ready", "gone", "large" or "unreadable". changed: called when there is news.
export function soundAt(address, changed, peaks = null) {
  let sound = known.get(address);
  if (!sound) {
    sound = { state: "loading", seconds: null, peaks: null, onsets: [] };
    turn = turn.then(() => (peaks ? read(sound, peaks) : decode(sound, address))).catch(() => (sound.state = "unreadable"));
    sound.done = turn;
    sound.done.then(() => sound.state === "gone" && setTimeout(() => known.get(address) === sound && known.delete(address), 1000 * AGAIN));
    if (known.size >= KEPT) known.delete(known.keys().next().value);
  }
  known.delete(address); // the one used last is the last to go
  known.set(address, sound);
  if (sound.state === "loading") sound.done.then(changed);
  return sound;
}

async function read(sound, address) {
  const answer = await fetch(api.apiURL(address));
  if (!answer.ok) return (sound.state = "gone");
  const peaks = readPeaks(await answer.arrayBuffer());
  ready(sound, peaks, secondsOf(peaks));
}

const ready = (sound, peaks, seconds) => Object.assign(sound, { peaks, seconds, onsets: onsetsOf(peaks), state: "ready" });

// The length that a media element tells, without loading all of it.
function lengthOf(address) {
  return new Promise((resolve) => {
    const audio = Object.assign(new Audio(), { preload: "metadata", src: address });
    audio.onloadedmetadata = audio.onerror = () => {
      resolve(Number.isFinite(audio.duration) ? audio.duration : null);
      unload(audio);
    };
  });
}

async function decode(sound, address) {
  const url = api.apiURL(address);
  sound.seconds = await lengthOf(url);
  if (sound.seconds > MOST_SECONDS) return (sound.state = "large");
  const stop = new AbortController();
  const answer = await fetch(url, { signal: stop.signal });
  if (!answer.ok) return (sound.state = "gone");
  if (Number(answer.headers.get("content-length")) > MOST_BYTES) {
    stop.abort();
    return (sound.state = "large");
  }
  const buffer = await new OfflineAudioContext(1, 1, 24000).decodeAudioData(await answer.arrayBuffer());
  const channels = Array.from({ length: buffer.numberOfChannels }, (_, place) => buffer.getChannelData(place));
  ready(sound, reducePeaks(channels, buffer.sampleRate), buffer.duration);
}

// What a node's wave is drawn from, the first that there is: what its own last run heard of the same graph, what its wires
// lead to, what its last run heard of another graph. own: { wave: { items, signature }, item } of that run.
// -> { sound, found: { state, address, offset, seconds, beats, brief } }; offset: of the wave's beginning in what is played.
export function lookUp(node, own, root, changed) {
  const source = sourceOf(node, root);
  const wave = own.wave?.items[own.item] ?? own.wave?.items[0];
  const fresh = wave && own.wave.signature === signatureOf(node, root);
  let { trims = [], room = [0, 0], seconds = null, kind: state } = source;
  let [address, peaks] = [null, null];
  if (state === "file") [address, state] = [source.file && queryOf(source.file), "open"];
  if (state === "played") [address, state] = [lastOf(source.node, root), "unknown"];
  if (address) state = soundAt(address, changed).state;
  if (wave && (fresh || state !== "ready")) {
    [address, peaks, trims, room, seconds] = [queryOf(wave.sound), queryOf(wave.wave), [], [0, 0], wave.seconds];
    state = soundAt(address, changed, peaks).state;
    if (state === "ready" && !fresh) state = "last";
  }
  const sound = address && soundAt(address, changed, peaks);
  const length = sound?.seconds ?? seconds;
  const cut = length === null ? null : trimmed(length, trims);
  const found = { state, address: address && api.apiURL(address), beats: wave?.beats ?? null, brief: briefOf(node, root) };
  return { sound, found: { ...found, offset: (cut?.[0] ?? 0) - room[0], seconds: cut && cut[1] - cut[0] + room[0] + room[1] } };
}

// The first file that a player of ours has played last.
function lastOf(player, root) {
  const place = player.graph === root ? player.id : `${player.graph.id}:${player.id}`;
  const [file] = app.nodeOutputs?.[place]?.audio ?? [];
  return file ? queryOf(file) : null;
}
