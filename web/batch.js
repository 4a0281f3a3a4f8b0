// What there is to know of a batch of songs without a page: pure.
import { linesOf } from "./lines.js";

// The songs of a node's output: the files of ComfyUI's list, with what our own list beside it tells of each. Songs of a
// sheet, one for each pair, know their row and column: the lists are in the order of the pairs.
export function songsOf(output) {
  const files = output?.audio ?? [];
  const sides = sidesOf(output?.acegraph_songs, files.length);
  return files.map((file, place) => {
    const told = output.acegraph_songs?.[place] ?? {};
    return {
      file,
      key: [file.type, file.subfolder, file.filename].join("/"),
      ...{ seconds: numberOf(told.seconds), lufs: numberOf(told.lufs) },
      ...{ seed: textOf(told.seed), sampler: textOf(told.sampler), wave: textOf(told.wave) },
      lines: linesOf(told.lines),
      place: sides && [sides[0][Math.floor(place / sides[1].length)], sides[1][place % sides[1].length]],
    };
  });
}

// Rows and columns of a sheet that all songs are of, when there are as many songs as pairs.
function sidesOf(told, count) {
  const sheet = told?.[0]?.sheet;
  const isSheet = Array.isArray(sheet) && sheet.length === 2 && sheet.every((side) => Array.isArray(side) && side.every((word) => typeof word === "string"));
  if (!isSheet || count < 2 || sheet[0].length * sheet[1].length !== count) return null;
  return told.every((one) => JSON.stringify(one?.sheet) === JSON.stringify(sheet)) ? sheet : null;
}

const numberOf = (value) => (Number.isFinite(value) ? value : null);
const textOf = (value) => (typeof value === "string" ? value : null);

export function clock(seconds) {
  const whole = Math.max(0, Math.floor((seconds || 0) + 1e-3));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

// Decibels that a song is turned down by, so that it is as loud as the quieter one of a pair: only down, so nothing clips.
export function lowered(song, other) {
  if (song?.lufs == null || other?.lufs == null) return 0;
  return Math.min(0, other.lufs - song.lufs);
}

export const gainOf = (decibels) => 10 ** (decibels / 20);

// Favourites are [{seed, file}]: a song played anew from the same seed has another file.
const names = (song) => (one) => one?.file === song.key || (song.seed !== null && one?.seed === song.seed);

export const isFavourite = (favourites, song) => Array.isArray(favourites) && favourites.some(names(song));

export function toggled(favourites, song) {
  if (isFavourite(favourites, song)) return favourites.filter((one) => !names(song)(one));
  return [...(Array.isArray(favourites) ? favourites : []), { seed: song.seed, file: song.key }];
}

// Songs of a sheet as a table: {rows, columns, places: [row, column] of each song}; null for any others.
export function tableOf(songs) {
  if (!songs[0]?.place) return null;
  const [rows, columns] = [0, 1].map((side) => [...new Set(songs.map((song) => song.place[side]))]);
  return { rows, columns, places: songs.map(({ place }) => [rows.indexOf(place[0]), columns.indexOf(place[1])]) };
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
