// What is heard in this page. Media elements play into one AudioContext, each through a gain of its own; whoever begins
// to sound stops all others. Importing this does nothing.

const FADE = 0.005; // seconds at the edges of what is played
const PIECES = 16; // straight lines that a crossfade's curve is made of
const CHECK = 0.2; // seconds between looks at where a sound has come to
const CLOSE = 0.012; // seconds between two sounds that are at the same place
const TRIES = 6;
const PATIENCE = 1; // seconds that a browser may take to begin with sound

let page; // {context, tap}
let heard; // the owner that sounds
let lead = 0.03; // seconds that a seek takes, as it was seen last

// The page's AudioContext, made when somebody first wants to hear something: before a click browsers keep it silent.
function sounding() {
  if (!page) {
    const context = new AudioContext();
    const tap = new AnalyserNode(context, { fftSize: 4096, smoothingTimeConstant: 0 });
    tap.connect(context.destination);
    page = { context, tap };
  }
  return page;
}

// For tests: the AnalyserNode that everything passes on its way out. Null before the first sound.
export const tap = () => page?.tap ?? null;

// An owner is about to sound: the one before is told to stop(). Players with a media element of their own say so too.
export function claim(owner) {
  if (heard === owner) return;
  heard?.stop();
  heard = owner;
}

// An owner sounds no more.
export function release(owner) {
  if (heard === owner) heard = undefined;
}

// Stop a media element and give its connection back, of which a page has six.
export function unload(element) {
  element.pause();
  element.removeAttribute("src");
  element.load();
}

const wait = (seconds) => new Promise((resolve) => setTimeout(resolve, 1000 * seconds));

function once(element, event) {
  if (element.error) return Promise.reject(element.error); // which is told once, maybe before somebody listens
  return new Promise((resolve, reject) => {
    const over = new AbortController();
    const on = (name, act) => element.addEventListener(name, () => (over.abort(), act()), { signal: over.signal });
    on(event, resolve);
    on("error", () => reject(element.error ?? new Error("This sound cannot be played.")));
  });
}

// A media element behind a gain. What plays belongs to an owner with stop(); voices of one owner may sound together.
export class Voice {
  element = Object.assign(new Audio(), { preload: "auto" });
  level = 1; // gain while it is heard
  range = null; // {from, to, loop} in seconds, or all of it
  onend = null; // called when it has ended by itself
  gain = null;
  quiet = false; // plays along unheard, until it is faded in
  order = 0; // counts play() and stop(): what was begun before the last of them is given up

  constructor(owner) {
    this.owner = owner;
    this.element.addEventListener("ended", () => this.#ended());
  }

  get playing() {
    return !this.element.paused && !this.element.ended;
  }

  get time() {
    return this.element.currentTime;
  }

  load(address) {
    this.stop();
    this.range = null;
    this.element.src = address;
  }

  // Resolves when the element is there.
  async seek(time) {
    await this.#known();
    const there = once(this.element, "seeked");
    this.element.currentTime = time;
    await there;
  }

  async #known() {
    if (this.element.readyState < HTMLMediaElement.HAVE_METADATA) await once(this.element, "loadedmetadata");
  }

  // Play exactly `range` ({from, to, loop}; all are optional), from its beginning or from `at`. True once it sounds, false
  // when something else was asked for meanwhile. Throws when the file or the browser does not play.
  async play(range = null, at = range?.from ?? this.time) {
    if (!(await this.#start(range, at, false))) return false;
    this.#watch(this.order);
    return true;
  }

  // Play along unheard from a moment; the range is that of the voice that it shall follow.
  playUnheard = (range, at) => this.#start(range, at, true);

  // Another gain while it plays.
  setLevel(level, seconds = FADE) {
    this.level = level;
    if (this.playing && !this.quiet) this.#watch(this.order, seconds);
  }

  // Loop or not, and where: at once, from where it is.
  setRange(range) {
    this.range = range;
    if (this.playing && !this.quiet) this.#watch(this.order);
  }

  // Silence within a moment. The place stays.
  stop() {
    const order = ++this.order;
    clearTimeout(this.timer);
    this.quiet = false;
    if (!this.playing) return;
    bend(this.gain?.gain, [0], FADE);
    setTimeout(() => order === this.order && this.element.pause(), 1000 * 2 * FADE);
  }

  // Nothing is left of it.
  remove() {
    this.stop();
    this.order++;
    unload(this.element);
    this.source?.disconnect();
    this.gain?.disconnect();
    this.source = this.gain = null;
    release(this.owner);
  }

  async #start(range, at, quiet) {
    claim(this.owner);
    clearTimeout(this.timer);
    const { context, tap: out } = sounding();
    if (!this.gain) {
      this.source = new MediaElementAudioSourceNode(context, { mediaElement: this.element });
      this.gain = new GainNode(context, { gain: 0 });
      this.source.connect(this.gain).connect(out);
    }
    const order = ++this.order;
    Object.assign(this, { range, quiet });
    bend(this.gain.gain, [0], 0);
    this.element.pause();
    const wakes = context.resume();
    await this.#known();
    await Promise.race([wakes, wait(PATIENCE)]);
    const { from = 0, to = Infinity } = this.range ?? {};
    if (from >= this.element.duration || order !== this.order) return false; // nothing is there to be heard
    if (context.state === "suspended") throw new DOMException("The browser wants to be clicked first.", "NotAllowedError");
    const begin = at < from || at >= Math.min(to, this.element.duration) - FADE ? from : at;
    if (this.element.ended || Math.abs(begin - this.time) > 1e-4) await this.seek(begin);
    if (order !== this.order) return false;
    const sounds = once(this.element, "playing");
    sounds.catch(() => {}); // play() says it as well
    try {
      await this.element.play();
    } catch (fault) {
      if (order !== this.order) return false; // it was paused before it began
      throw fault;
    }
    await sounds;
    return order === this.order;
  }

  // Keep the gain at its level up to the end of the range, to the sample, and look again before that.
  #watch(order, seconds = FADE) {
    clearTimeout(this.timer);
    if (order !== this.order || !this.playing) return;
    const left = this.range?.to === undefined ? Infinity : this.range.to - this.time;
    if (left <= 0.001) {
      this.#ended();
      return;
    }
    bend(this.gain.gain, [this.level], Math.min(seconds, left / 2));
    if (left < Infinity) {
      const end = page.context.currentTime + left;
      this.gain.gain.setValueAtTime(this.level, Math.max(page.context.currentTime + seconds, end - FADE));
      this.gain.gain.linearRampToValueAtTime(0, end);
      this.timer = setTimeout(() => this.#watch(order), 1000 * Math.min(CHECK, left));
    }
  }

  #ended() {
    if (this.quiet) return;
    if (this.range?.loop) {
      this.play(this.range, this.range.from ?? 0).catch(() => this.stop());
      return;
    }
    this.order++;
    bend(this.gain?.gain, [0], 0);
    this.element.pause();
    release(this.owner);
    this.onend?.();
  }

  // For crossfades: the gain along a curve of parts of the level, and then as ever.
  follow(curve, seconds) {
    this.quiet = false;
    bend(this.gain.gain, curve.map((part) => part * this.level), seconds);
    const order = this.order;
    this.timer = setTimeout(() => this.#watch(order), 1000 * seconds);
  }
}

// From its value now through these, evenly spread over so many seconds.
function bend(parameter, values, seconds) {
  if (!parameter) return;
  const now = page.context.currentTime;
  const value = parameter.value;
  parameter.cancelScheduledValues(0);
  parameter.setValueAtTime(seconds ? value : values.at(-1), now);
  if (seconds) values.forEach((next, place) => parameter.linearRampToValueAtTime(next, now + (seconds * (place + 1)) / values.length));
}

// Gains from 0 to 1 whose squares, together with those of the same curve backwards, are 1 everywhere.
export function equalPower(pieces = PIECES) {
  return Array.from({ length: pieces }, (_, place) => Math.sin((Math.PI / 2) * ((place + 1) / pieces)));
}

// Two voices that sound, the second one unheard as yet: one fades into the other, and the first stops.
export async function crossfade(from, to, seconds) {
  const rise = equalPower();
  const fall = [...rise.slice(0, -1).reverse(), 0];
  const [left, right] = [from.order, to.order];
  from.follow(fall, seconds);
  to.follow(rise, seconds);
  clearTimeout(from.timer); // it will stop
  from.quiet = true; // and should it end before, that means nothing any more
  await wait(seconds + FADE);
  if (from.order === left) from.stop();
  return to.order === right;
}

// Go on with another voice at the same place: `to` is brought to where `from` is, unheard, and then faded in. place: from
// the time of `from` to that of `to`, where they are not the same. False when something else was asked for meanwhile.
export async function takeOver(from, to, seconds, place = (time) => time) {
  if (!(await to.playUnheard(from.range, place(from.time)))) return false;
  const order = to.order;
  for (let tries = 0; tries < TRIES; tries++) {
    const late = place(from.time) - to.time;
    if (Math.abs(late) <= CLOSE || !from.playing) break;
    if (tries) lead = Math.max(0, Math.min(0.5, lead + late));
    await to.seek(place(from.time) + lead);
    await wait(0.03); // a seek is there before its sound
    if (to.order !== order) return false;
  }
  return crossfade(from, to, seconds);
}
