"""What several nodes ask of a song, and what the planner's nodes answer."""

from typing import Any

from comfy_api.latest import io

from ..acestep_core.prompts import BPM_RANGE, KEYS, LANGUAGES, TIME_SIGNATURES, Brief
from ..acestep_core.scribe import Answer
from ..acestep_core.timebase import MAX_SECONDS
from .comfy_runtime import AUTO
from .schema import FRAME, chosen, report_output

ANY_LANGUAGE = "unknown"  # how the model calls a language that nobody named
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


def language_input() -> Any:
    """What is sung in."""
    return io.Combo.Input(
        "language",
        options=[AUTO, *LANGUAGES],
        default=AUTO,
        tooltip="Language of the lyrics. auto: the planner decides.",
    )


def figures_inputs() -> list[Any]:
    """Tempo, key, time signature and length; whatever is set stays as it is."""
    return [
        io.Int.Input(
            "bpm",
            default=0,
            min=0,
            max=BPM_RANGE[-1],
            tooltip=f"Beats per minute, {BPM_RANGE[0]} to {BPM_RANGE[-1]}. 0: the planner decides.",
        ),
        io.Combo.Input(
            "key", options=[AUTO, *KEYS], default=AUTO, tooltip="Key of the song. auto: the planner decides."
        ),
        io.Combo.Input(
            "time_signature",
            options=[AUTO, *TIME_SIGNATURES],
            default=AUTO,
            tooltip="Beats in a bar; 6 stands for 6/8. auto: the planner decides.",
        ),
        duration_input("Length of the song. 0: the planner decides."),
    ]


def duration_input(tooltip: str) -> Any:
    """How long the song is."""
    return io.Float.Input(
        "duration",
        display_name="duration (s)",
        default=0.0,
        min=0.0,
        max=MAX_SECONDS,
        step=FRAME,
        tooltip=tooltip,
    )


def brief_outputs() -> list[Any]:
    """A brief, field by field, ready for the inputs of Encode Conditions, and what the planner thought."""
    return [
        io.String.Output(display_name="caption", tooltip="For the caption of Encode Conditions."),
        io.String.Output(display_name="lyrics", tooltip="For the lyrics of Encode Conditions."),
        Choices.Output(display_name="language", tooltip="For the language of Encode Conditions."),
        io.Int.Output(display_name="bpm", tooltip="Beats per minute; 0 if nothing was decided."),
        Choices.Output(display_name="key", tooltip="For the key of Encode Conditions."),
        Choices.Output(display_name="time_signature", tooltip="For the input of the same name."),
        io.Float.Output(display_name="duration", tooltip="Seconds, also for the Silence Latent."),
        io.String.Output(
            display_name="plan", tooltip="The chain of thought as text, for Compose Codes or to be read."
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
        ANY_LANGUAGE if chosen(language, [AUTO, *LANGUAGES], "language") == AUTO else language,
        bpm or None,
        None if chosen(key, [AUTO, *KEYS], "key") == AUTO else key,
        None
        if chosen(time_signature, [AUTO, *TIME_SIGNATURES], "time signature") == AUTO
        else time_signature,
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
