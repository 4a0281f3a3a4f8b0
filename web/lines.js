// Lines of lyrics on the time of a song: where each lies, and which one is sung. Pure.

// What a run tells of a song's lines, [start, end, text] each in seconds -> the lines that can be drawn, in their order.
export function linesOf(told) {
  if (!Array.isArray(told)) return [];
  const lines = told.filter((line) => Array.isArray(line) && Number.isFinite(line[0]) && Number.isFinite(line[1]) && typeof line[2] === "string");
  return lines.map(([start, end, text]) => ({ start: Math.max(0, start), end: Math.max(start, end), text })).sort((a, b) => a.start - b.start);
}

// The place of the line that is sung at a moment, the later one where two overlap; -1: none is.
export const sungAt = (lines, moment) => lines.findLastIndex(({ start, end }) => start <= moment && moment < end);

// Where they lie, as shares of the song: { left, width }. A line ends where the next one begins at the latest, and is
// never narrower than `least`, so that it can be pressed, nor longer than the song.
export function laidOut(lines, seconds, least = 0.004) {
  if (!(seconds > 0)) return [];
  return lines.map(({ start, end }, place) => {
    const left = Math.min(start / seconds, 1 - least);
    const until = Math.min(end, lines[place + 1]?.start ?? Infinity, seconds);
    return { left, width: Math.max(least, until / seconds - left) };
  });
}
