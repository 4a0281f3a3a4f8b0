"""What several nodes ask of a song, and what the planner's nodes answer."""

from typing import Any

from comfy_api.latest import io

from ...acestep_core.interface import AUTO
from ...acestep_core.planner.planner import Answer
from ...acestep_core.planner.requests import UNKNOWN
from ...acestep_core.text.prompts import BPM_RANGE, KEYS, LANGUAGES, TIME_SIGNATURES, Brief
from ...acestep_core.timebase import MAX_SECONDS
from .schema import FRAME, report_output

DECIDED = "the planner decides"  # what becomes of a figure that is left open
Choices = io.Custom("COMBO")  # an output for choices; that of 0.3.75 fits no input


def caption_input(tooltip: str) -> Any:
    """The style of the song."""
    return io.String.Input(
        "caption",
        multiline=True,
        placeholder="dreamy synthpop, soft female voice",
        tooltip=tooltip,
    )


def lyrics_input(tooltip: str) -> Any:
    """The words of the song."""
    return io.String.Input(
        "lyrics", multiline=True, placeholder="[Verse]\n...\n[Chorus]\n...", tooltip=tooltip
    )


def instrumental_input() -> Any:
    """Whether nobody sings."""
    return io.Boolean.Input(
        "instrumental", default=False, tooltip="No singing: the lyrics become [Instrumental]."
    )


def language_input(otherwise: str = DECIDED) -> Any:
    """What is sung in; `otherwise`, here and below, says what auto and 0 mean."""
    return io.Combo.Input(
        "language",
        options=[AUTO, *LANGUAGES],
        default=AUTO,
        tooltip=f"Language of the lyrics. auto: {otherwise}.",
    )


def figures_inputs(otherwise: str = DECIDED) -> list[Any]:
    """Tempo, key, time signature and length; whatever is set stays as it is."""
    return [
        io.Int.Input(
            "bpm",
            default=0,
            min=0,
            max=BPM_RANGE[-1],
            tooltip=f"Beats per minute, {BPM_RANGE[0]} to {BPM_RANGE[-1]}. 0: {otherwise}.",
        ),
        io.Combo.Input(
            "key", options=[AUTO, *KEYS], default=AUTO, tooltip=f"Key of the song. auto: {otherwise}."
        ),
        io.Combo.Input(
            "time_signature",
            options=[AUTO, *TIME_SIGNATURES],
            default=AUTO,
            tooltip=f"Beats in a bar; 4 stands for 4/4, 6 for 6/8. auto: {otherwise}.",
        ),
        duration_input(otherwise),
    ]


def duration_input(otherwise: str = DECIDED) -> Any:
    """How long the song is."""
    return io.Float.Input(
        "duration",
        display_name="duration (s)",
        default=0.0,
        min=0.0,
        max=MAX_SECONDS,
        step=FRAME,
        tooltip=f"Length of the song in seconds. 0: {otherwise}.",
    )


def brief_outputs() -> list[Any]:
    """A brief, field by field, ready for the inputs of Encode Conditions, and what the planner thought."""
    return [
        io.String.Output(display_name="caption", tooltip="For the caption of Encode Conditions."),
        io.String.Output(display_name="lyrics", tooltip="For the lyrics of Encode Conditions."),
        Choices.Output(display_name="language", tooltip="For the language of Encode Conditions."),
        io.Int.Output(
            display_name="bpm", tooltip="For the bpm of Encode Conditions; 0 if nothing was decided."
        ),
        Choices.Output(display_name="key", tooltip="For the key of Encode Conditions."),
        Choices.Output(display_name="time_signature", tooltip="For the time signature of Encode Conditions."),
        io.Float.Output(
            display_name="duration",
            tooltip="In seconds, for Encode Conditions and for the length of a Silence Latent.",
        ),
        io.String.Output(
            display_name="plan",
            tooltip="The planner's notes on the song as text: for Compose Codes, or to be read.",
        ),
        report_output(),
    ]


def brief_of(  # noqa: PLR0913  (one argument per widget)
    caption: str,
    lyrics: str,
    instrumental: bool,
    language: str,
    bpm: int,
    key: str,
    time_signature: str,
    duration: float,
) -> Brief:
    """The widgets' words and figures as the model counts them: nothing said where they say 0 or auto."""
    brief = Brief(
        caption,
        lyrics,
        UNKNOWN if language == AUTO else language,
        bpm or None,
        None if key == AUTO else key,
        None if time_signature == AUTO else time_signature,
        duration or None,
    )
    return brief.as_instrumental() if instrumental else brief


def brief_values(answer: Answer, speed: str) -> tuple[Any, ...]:
    """An answer as the outputs of `brief_outputs`."""
    brief = answer.brief
    return (
        brief.caption,
        brief.lyrics,
        brief.language,
        brief.bpm or 0,
        brief.key or AUTO,
        brief.time_signature or AUTO,
        float(brief.duration or 0),
        answer.text,
        "\n".join(filter(None, (*answer.report, speed))),
    )
