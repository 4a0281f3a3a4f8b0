// Waves of recordings, drawn by the server: a page never loads a sound to show it.
import { api } from "../../scripts/api.js";
import { app } from "../../scripts/app.js";
import { onsetsOf, readPeaks, secondsOf } from "./peaks.js";
import { briefOf, queryOf, signatureOf, sourceOf, trimmed } from "./sources.js";

const KEPT = 24;
const REFUSED = { 404: "gone", 413: "large", 415: "unreadable" };
const known = new Map(); // address -> { state, seconds, peaks, onsets }
const AGAIN = 5; // seconds until what was not there, or a server that did not answer, is asked again
let turn = Promise.resolve(); // one recording after the other: a page has six connections, and Run needs one

// Its length and peaks, now or later; state: "loading", "ready", "gone", "large" or "unreadable". changed: called when there is
// news. peaks: where they are, if they have been written already.
export function soundAt(address, changed, peaks = null) {
  let sound = known.get(address);
  if (!sound) {
    sound = { state: "loading", seconds: null, peaks: null, onsets: [] };
    const begin = () => read(sound, peaks ?? address.replace("/view", "/acegraph/peaks")).catch(() => (sound.state = "unreadable"));
    sound.done = peaks ? begin() : (turn = turn.then(begin));
    const passing = () => ["gone", "loading"].includes(sound.state);
    sound.done.then(() => passing() && setTimeout(() => known.get(address) === sound && known.delete(address), 1000 * AGAIN));
    if (known.size >= KEPT) known.delete(known.keys().next().value);
  }
  known.delete(address); // the one used last is the last to go
  known.set(address, sound);
  if (sound.state === "loading") sound.done.then(changed);
  return sound;
}

// A server that does not answer now may do so later.
async function read(sound, address) {
  const answer = await fetch(api.apiURL(address)).catch(() => ({ status: 0, headers: new Headers() }));
  sound.seconds = Number(answer.headers.get("Acegraph-Seconds")) || null; // to the sample; peaks know it to a hundredth
  if (!answer.ok) return (sound.state = REFUSED[answer.status] ?? "loading");
  const peaks = readPeaks(await answer.arrayBuffer());
  Object.assign(sound, { peaks, seconds: sound.seconds ?? secondsOf(peaks), onsets: onsetsOf(peaks), state: "ready" });
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
