// What there is to know of a batch of songs without a page: pure.

// The songs of a node's output: the files of ComfyUI's list, with what our own list beside it tells of each.
export function songsOf(output) {
  return (output?.audio ?? []).map((file, place) => {
    const told = output.acegraph_songs?.[place] ?? {};
    return {
      file,
      key: [file.type, file.subfolder, file.filename].join("/"),
      seconds: numberOr(told.seconds, null),
      lufs: numberOr(told.lufs, null),
      seed: textOr(told.seed, null),
      sampler: textOr(told.sampler, null),
      wave: textOr(told.wave, null),
      label: textOr(told.label, ""),
    };
  });
}

function numberOr(value, other) {
  return Number.isFinite(value) ? value : other;
}

function textOr(value, other) {
  return typeof value === "string" ? value : other;
}

export function clock(seconds) {
  const whole = Math.max(0, Math.floor((seconds || 0) + 1e-3));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

// Decibels that a song is turned down by, so that it is as loud as the quieter one of a pair: only down, so nothing clips.
export function lowered(song, other) {
  if (song?.lufs == null || other?.lufs == null) return 0;
  return Math.min(0, other.lufs - song.lufs);
}

export function gainOf(decibels) {
  return 10 ** (decibels / 20);
}

// Favourites are [{seed, file}]: a song played anew from the same seed has another file.
export function isFavourite(favourites, song) {
  return favouritePlace(favourites, song) >= 0;
}

export function toggled(favourites, song) {
  const kept = Array.isArray(favourites) ? [...favourites] : [];
  if (!isFavourite(kept, song)) return [...kept, { seed: song.seed, file: song.key }];
  while (isFavourite(kept, song)) kept.splice(favouritePlace(kept, song), 1);
  return kept;
}

function favouritePlace(favourites, song) {
  if (!Array.isArray(favourites)) return -1;
  return favourites.findIndex((one) => one?.file === song.key || (song.seed !== null && one?.seed === song.seed));
}

// Songs that are labelled "row | column" as a table: {rows, columns, places: [[row, column] of each song]}; null where a
// label is another, or two songs have the same place.
export function tableOf(songs) {
  const [rows, columns] = [[], []];
  const places = [];
  const taken = new Set();
  for (const { label } of songs) {
    const parts = label.split(" | ");
    if (parts.length !== 2 || !parts[0] || !parts[1]) return null;
    const place = [placeIn(rows, parts[0]), placeIn(columns, parts[1])];
    if (taken.has(String(place))) return null;
    taken.add(String(place));
    places.push(place);
  }
  return songs.length > 1 ? { rows, columns, places } : null;
}

function placeIn(list, name) {
  if (!list.includes(name)) list.push(name);
  return list.indexOf(name);
}

// The song that a key leads to, from another one: up and down, in a table to the sides as well. null: no such key.
export function stepped(key, place, songs, table) {
  if (/^[1-9]$/.test(key)) return Number(key) <= songs.length ? Number(key) - 1 : place;
  const ways = { ArrowUp: [-1, 0], ArrowDown: [1, 0], "Shift+ArrowLeft": [0, -1], "Shift+ArrowRight": [0, 1] };
  if (key === "Home") return 0;
  if (key === "End") return songs.length - 1;
  if (!ways[key]) return null;
  if (!table) return Math.max(0, Math.min(songs.length - 1, place + ways[key][0]));
  const [row, column] = table.places[place];
  const found = table.places.findIndex(([r, c]) => r === row + ways[key][0] && c === column + ways[key][1]);
  return found < 0 ? place : found;
}
