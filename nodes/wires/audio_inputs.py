"""What Save Audio and Preview Audio both take and give."""

from typing import Any

from comfy_api.latest import io

from ...acestep_core.sound.levels import LEVELS
from ...acestep_core.timebase import MAX_SECONDS
from .schema import advanced, report_output
from .sockets import Conditions, Times


def audio_input() -> Any:
    """The songs."""
    return io.Audio.Input(
        "audio",
        tooltip="From Oobleck Decode, Splice, or any audio of ComfyUI; every item of a batch is stored.",
    )


def conditions_input() -> Any:
    """The briefs of the songs."""
    return Conditions.Input(
        "conditions",
        optional=True,
        tooltip="From Encode Conditions: caption, lyrics, bpm and key become tags of the file. One for all songs, or one for each.",
    )


def times_input(more: str) -> Any:
    """When lines are sung, if that is known. more: what else comes of it."""
    return Times.Input(
        "times",
        optional=True,
        tooltip=f"From Lyric Times: the player shows when each line is sung; {more}",
    )


def finish_inputs() -> list[Any]:
    """Level and fades."""
    return [
        io.Combo.Input(
            "level",
            options=list(LEVELS),
            default="peak -1 dBFS",
            tooltip="peak: the loudest sample of each song lands at -1 dBFS. none: as it is, made quieter only if it would clip. "
            "ComfyUI: made quieter until five standard deviations fit, as the host's own decoder does. LUFS: as loud as that to the "
            "ear, with the peaks limited; -14 for streaming, -23 for broadcast.",
        ),
        *(
            advanced(
                io.Float.Input(
                    name,
                    display_name=f"{name.replace('_', ' ')} (s)",
                    default=0.0,
                    min=0.0,
                    max=MAX_SECONDS,
                    step=0.1,
                    tooltip=f"Linear fade at the {where} of every song. 0: none.",
                )
            )
            for name, where in (("fade_in", "start"), ("fade_out", "end"))
        ),
    ]


def outputs() -> list[Any]:
    """The songs as they came, to go on with, and the report."""
    return [
        io.Audio.Output(display_name="audio", tooltip="The audio as it came in, without level and fades."),
        report_output(),
    ]
