"""Deliberate breakages of the browser's pure modules, which Node's own tests have to notice; see core.py."""

from tools.mutations.core import Mutation

REGIONS, TIMELINE, SOURCES, PEAKS, LINES = (
    f"web/{name}.js" for name in ("regions", "timeline", "sources", "peaks", "lines")
)

# fmt: off
WEB_MUTATIONS = [
    Mutation("edges snap a frame too late", REGIONS, "web", "Math.round(nearest * RATE)", "Math.round(nearest * RATE) + 1"),
    Mutation("edges are cut to the frame before", REGIONS, "web", "Math.round(nearest * RATE)", "Math.floor(nearest * RATE)"),
    Mutation("edges snap to the beat before", REGIONS, "web", "near.sort((a, b) => Math.abs(a - seconds) - Math.abs(b - seconds))[0]", "near[0]"),
    Mutation("a hair below a frame's edge counts as below it in the browser", REGIONS, "web", "seconds * RATE + 1e-6", "seconds * RATE"),
    Mutation("a moved region is cut at the song's end", REGIONS, "web", "return [start + shift, stop + shift]", "return [start + by, Math.min(stop + by, frames)]"),
    Mutation("an edge passes the other one", REGIONS, "web", "Math.min(Math.max(0, to), stop - 1)", "Math.max(0, to)"),
    Mutation("drawn regions that touch stay apart", REGIONS, "web", "start <= last[1]", "start < last[1]"),
    Mutation("the line is written for one region too", REGIONS, "web", "regions.length > 1 ? print", "regions.length > 0 ? print"),
    Mutation("zooming goes about the left edge", TIMELINE, "web", "(at - view.from) / (view.to - view.from)", "0"),
    Mutation("a view is cut where it would leave the song", TIMELINE, "web", "Math.max(from, 0), most - size)", "Math.max(from, 0), most)"),
    Mutation("beats too narrow to choose among are snapped to", TIMELINE, "web", "width < LEAST_BEAT ? [] : points", "width < 0 ? [] : points"),
    Mutation("what is muted is drawn", SOURCES, "web", "!from || from.mode === MUTED", "!from"),
    Mutation("what is bypassed is taken for the sound", SOURCES, "web", "if (from.mode === BYPASSED)", "if (false)"),
    Mutation("a sampled recording is drawn as the recording", SOURCES, "web", "if (LATENT_INPUT[type]) heard = false;", ""),
    Mutation("a line of lyrics sounds on when the next one has begun", LINES, "web", "lines.findLastIndex(", "lines.findIndex("),
    Mutation("a line of lyrics sounds on behind its end", LINES, "web", "moment < end", "moment <= end"),
    Mutation("a line of lyrics lies over the next one", LINES, "web", "lines[place + 1]?.start ?? Infinity", "Infinity"),
    Mutation("of two cuts the last comes first", SOURCES, "web", "trims.unshift(cut)", "trims.push(cut)"),
    Mutation("the part that Region cuts out is drawn as the whole song", SOURCES, "web", "type === REGION && from.slot === PART", "false"),
    Mutation("the whole song behind Region is drawn as the part", SOURCES, "web", "type === REGION && from.slot === PART", "type === REGION"),
    Mutation("of several regions that are cut out the first counts", SOURCES, "web", "(more.at(-1) ?? first)[1]", "first[1]"),
    Mutation("room that comes by wire counts as none", SOURCES, "web", "constant(at, side) ?? NaN", "constant(at, side) ?? 0"),
    Mutation("sections are those of conditions far away", SOURCES, "web", "wiresTo(node, root).find(", "wiresTo(node, root).findLast("),
    Mutation("an estimated tempo goes before that of the conditions", TIMELINE, "web", "bpm: known || beats?.bpm || 0", "bpm: beats?.bpm || known || 0"),
    Mutation("onsets are those of the file, not of the cut", TIMELINE, "web", "onsets.map((second) => second - offset)", "[...onsets]"),
    Mutation("everything in a song begins", PEAKS, "web", "const least = RISE *", "const least = 0 *"),
]
# fmt: on
