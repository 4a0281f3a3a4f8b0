"""Several parts of a song as one line of text, which the region editor in the browser reads and writes as well."""

from collections.abc import Iterable, Sequence

from ..errors import InvalidInputError
from ..timebase import FRAMES_PER_SECOND, MAX_SECONDS, FrameSpan, frame_at, seconds_of

MOST_REGIONS = 64
MOST_CHARACTERS = 4096
EXAMPLE = "Write regions as 12.00-20.04, 40.00-48.00, in seconds with a dot."
LONGEST_SHOWN = 40


def regions_of(text: str) -> tuple[FrameSpan, ...]:
    """The parts that a line names, in order, those that overlap or touch as one; none for an empty line."""
    if len(text) > MOST_CHARACTERS:
        raise InvalidInputError(f"The regions are {len(text)} characters long.", EXAMPLE)
    pieces = [piece.strip() for piece in text.split(",")]
    pieces = [piece for piece in pieces if piece]
    if len(pieces) > MOST_REGIONS:
        raise InvalidInputError(
            f"There are {len(pieces)} regions.", f"Leave {MOST_REGIONS} of them or fewer."
        )
    return merged(map(region_of, pieces))


def region_of(piece: str) -> FrameSpan:
    """One part, such as 12.00-20.04."""
    shown = piece if len(piece) <= LONGEST_SHOWN else f"{piece[:LONGEST_SHOWN]}..."
    edges = [edge.strip() for edge in piece.split("-")]
    if len(edges) != 2 or not all(map(is_number, edges)):
        raise InvalidInputError(f"{shown!r} is no region.", EXAMPLE)
    start, stop = map(float, edges)
    if max(start, stop) > MAX_SECONDS:
        raise InvalidInputError(
            f"The region {shown} reaches beyond {MAX_SECONDS:g} s.",
            f"Let it lie between 0 and {MAX_SECONDS:g} s.",
        )
    if frame_at(stop) <= frame_at(start):
        raise InvalidInputError(f"The region {shown} is empty.", "Let it end 0.04 s or more after its start.")
    return FrameSpan(frame_at(start), frame_at(stop))


def is_number(text: str) -> bool:
    """Whether it is a plain number of seconds: digits, and at most one dot between or around them."""
    whole, _, rest = text.partition(".")
    return text.isascii() and (whole + rest).isdigit()


def merged(regions: Iterable[FrameSpan]) -> tuple[FrameSpan, ...]:
    """The same parts in order, those that overlap or touch as one."""
    found: list[FrameSpan] = []
    for region in sorted(regions, key=lambda span: span.start):
        if found and region.start <= found[-1].stop:
            found[-1] = FrameSpan(found[-1].start, max(found[-1].stop, region.stop))
        else:
            found.append(region)
    return tuple(found)


def line_of(regions: Sequence[FrameSpan]) -> str:
    """The line that names these parts."""
    return ", ".join(f"{seconds_of(span.start):.2f}-{seconds_of(span.stop):.2f}" for span in regions)


def chosen(regions: str, start: float, end: float, frames: int) -> tuple[FrameSpan, ...]:
    """The parts of a song of `frames`: those that the line names or, if it is empty, the one from start to end."""
    named = regions_of(regions)
    if not named:
        return (FrameSpan.from_seconds(start, end, frames),)
    inside = tuple(FrameSpan(one.start, min(one.stop, frames)) for one in named if one.start < frames)
    if not inside:
        raise InvalidInputError(
            f"The regions begin at {seconds_of(named[0].start):g} s, and the song ends at {seconds_of(frames):g} s.",
            f"Choose regions that begin below {seconds_of(frames):g} s.",
        )
    return inside


def samples_around(parts: Sequence[FrameSpan], frames: int, samples: int, rate: int) -> slice:
    """From the first part's start to the last one's end, in a sound of so many `samples` at `rate` that holds `frames`.

    A part that ends with the last frame takes along the rest of under a frame; at odd rates that frame's own end may lie a
    sample past the sound.
    """
    start, stop = (round(frame * rate / FRAMES_PER_SECOND) for frame in (parts[0].start, parts[-1].stop))
    return slice(start, samples if parts[-1].stop >= frames else stop)


def marked(parts: Sequence[FrameSpan], frames: int) -> str:
    """The parts in words."""
    where = ", ".join(f"{seconds_of(part.start):.2f}-{seconds_of(part.stop):.2f} s" for part in parts)
    inside = sum(part.stop - part.start for part in parts)
    return f"Marked: {where}, {seconds_of(inside):.2f} of {seconds_of(frames):.2f} s."


def cut_off(regions: str, end: float, frames: int) -> list[str]:
    """A line of a report where what was asked for ends after the song of `frames`; none otherwise."""
    named = regions_of(regions)
    asked = seconds_of(named[-1].stop) if named else end
    length = seconds_of(frames)
    if frame_at(asked) <= frames:
        return []
    what = "The last region" if named else "The part"
    return [
        f"{what} was to end at {asked:g} s, but the song ends at {length:g} s: it is made anew up to there."
    ]
