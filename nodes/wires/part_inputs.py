"""How a part of a song is named: start and end, the fade around it, or several regions; the drawing writes the same widgets."""

from typing import Any

from comfy_api.latest import io

from ...acestep_core.sampling.regions import regions_of
from ...acestep_core.timebase import MAX_SECONDS, require_span
from ..host.node import Node, verdict
from .schema import FRAME

LONGEST_FADE = 60.0  # seconds


def start_input() -> Any:
    """Where it begins."""
    return io.Float.Input(
        "start",
        display_name="start (s)",
        default=0.0,
        min=0.0,
        max=MAX_SECONDS,
        step=FRAME,
        tooltip="Where the part to generate begins, in seconds.",
    )


def end_input() -> Any:
    """Where it ends."""
    return io.Float.Input(
        "end",
        display_name="end (s)",
        default=-1.0,
        min=-1.0,
        max=MAX_SECONDS,
        step=FRAME,
        tooltip="Where the part to generate ends, in seconds. -1: at the end of the song.",
    )


def fade_input() -> Any:
    """How soft its edges are."""
    return io.Float.Input(
        "fade",
        display_name="fade (s)",
        default=0.0,
        min=0.0,
        max=LONGEST_FADE,
        step=FRAME,
        tooltip="Soft edge outside of the part, in which new and old music are mixed. The part itself stays fully new. "
        "0: the Sampler's own seam, set by its repaint strength.",
    )


def regions_input() -> Any:
    """Several parts at once; the last input, so that older workflows keep their values."""
    return io.String.Input(
        "regions",
        optional=True,
        default="",
        tooltip="Several parts at once, such as 12.00-20.04, 40.00-48.00, in seconds. Start and end are then not used. Draw them "
        "on the wave with Shift held, or write them. Empty: the one part from start to end.",
    )


class PartsNode(Node):
    """A node with `start`, `end` and `regions`, which are looked at before anything runs."""

    @classmethod
    def validate_inputs(
        cls, start: float | None = None, end: float | None = None, regions: str | None = ""
    ) -> bool | str:
        return verdict(cls, require_parts, start=start, end=end, regions=regions)


def require_parts(start: float, end: float, regions: str) -> None:
    """Refuse what is empty in a song of any length, or no line of regions."""
    if not regions_of(regions):
        require_span(start, end)
