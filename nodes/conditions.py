"""Words, metadata and sounds become conditions."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from comfy_api.latest import io

from ..acestep_core.errors import InvalidInputError
from ..acestep_core.interface import AUTO
from ..acestep_core.networks.costs import encoding_bytes
from ..acestep_core.text.conditions import LYRIC_TOKENS, Condition
from ..acestep_core.text.prompts import (
    BPM_RANGE,
    KEYS,
    LANGUAGES,
    TIME_SIGNATURES,
    TRACKS,
    Brief,
    StemControl,
    require_tempo,
)
from ..acestep_core.text.tasks import TASKS, Task, instruction, require_learnt, task_named
from ..acestep_core.timebase import MAX_SECONDS, TIMBRE_FRAMES, seconds_of, seconds_of_codes
from .host.node import Node, verdict
from .host.runtime import rest_device
from .wires.schema import FRAME, advanced, report_output, schema
from .wires.sockets import CodeList, Codes, ConditionList, Conditions, TextEncoder, TextHandle
from .wires.song_inputs import brief_of
from .wires.tensors import Latent, frames_of_latent

DEFAULT_SECONDS = 30.0


class EncodeConditions(Node):
    """Say what the song should be."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "conditioning",
            node_id="AceGraphEncodeConditions",
            display_name="Encode Conditions (ACE-Step)",
            description="Turns caption, lyrics, metadata and a timbre into the conditions that steer the Sampler.",
            search_aliases=[
                "prompt",
                "lyrics",
                "text encode",
                "tags",
                "acestep",
                "song",
                "stem",
                "track",
                "extract",
            ],
            inputs=[
                TextEncoder.Input("text_encoder", tooltip="From Load ACE-Step."),
                io.Latent.Input(
                    "source",
                    optional=True,
                    tooltip="What goes to the Sampler's source, a song or a silence: sets the duration when that is 0.",
                ),
                Codes.Input(
                    "codes",
                    optional=True,
                    tooltip="Audio codes the song is built on. Selects the wording for codes and sets the duration when that is 0.",
                ),
                io.Latent.Input(
                    "timbre",
                    optional=True,
                    tooltip="From Reference Timbre: the sound to take on. None: no preference.",
                ),
                io.String.Input(
                    "caption",
                    multiline=True,
                    placeholder="upbeat synthpop, bright female vocals, driving bass",
                    tooltip="Style, instruments, mood, voice. Up to 256 tokens together with the metadata.",
                ),
                io.String.Input(
                    "lyrics",
                    multiline=True,
                    placeholder="[Verse]\n...\n[Chorus]\n...",
                    tooltip="What is sung, with tags such as [Verse], [Chorus], [Bridge] on lines of their own. Up to 2,048 tokens.",
                ),
                io.Boolean.Input(
                    "instrumental",
                    default=False,
                    tooltip="No singing: the lyrics are replaced by [Instrumental].",
                ),
                io.Combo.Input(
                    "task",
                    options=list(TASKS),
                    default="text2music",
                    tooltip="What the Sampler will do. extract, lego and complete need a base checkpoint; "
                    "repaint and extend need a mask.",
                ),
                io.String.Input(
                    "tracks",
                    default="",
                    placeholder="drums, bass",
                    tooltip=f"For complete what joins in, for extract and lego a song for each of: {', '.join(TRACKS)}.",
                ),
                io.Combo.Input(
                    "language", options=list(LANGUAGES), default="en", tooltip="Language of the lyrics."
                ),
                io.Int.Input(
                    "bpm",
                    default=0,
                    min=0,
                    max=BPM_RANGE[-1],
                    tooltip=f"Beats per minute, {BPM_RANGE[0]} to {BPM_RANGE[-1]}. 0: auto.",
                ),
                io.Combo.Input(
                    "key", options=[AUTO, *KEYS], default=AUTO, tooltip="Key of the song. auto: left open."
                ),
                io.Combo.Input(
                    "time_signature",
                    options=[AUTO, *TIME_SIGNATURES],
                    default=AUTO,
                    tooltip="Beats in a bar; 4 stands for 4/4, 6 for 6/8. auto: left open.",
                ),
                io.Float.Input(
                    "duration",
                    display_name="duration (s)",
                    default=0.0,
                    min=0.0,
                    max=MAX_SECONDS,
                    step=FRAME,
                    tooltip=f"What the model is told. 0: length of the source, else of the codes, else {DEFAULT_SECONDS:g}.",
                ),
                advanced(
                    io.String.Input(
                        "global_caption",
                        optional=True,
                        default="",
                        tooltip="Only for checkpoints trained on stems: describes the whole song while the caption describes the stem.",
                    )
                ),
            ],
            outputs=[
                Conditions.Output(display_name="conditions", tooltip="For the Sampler."),
                report_output(),
            ],
        )

    @classmethod
    def validate_inputs(
        cls, task: str | None = None, tracks: str | None = None, bpm: int | None = None
    ) -> bool | str:
        wrong = verdict(cls, instructed, task=task, tracks=tracks)
        return verdict(cls, require_tempo, bpm=bpm) if wrong is True else wrong

    @classmethod
    def execute(  # noqa: PLR0913  (one argument per widget)
        cls,
        text_encoder: TextHandle,
        caption: str,
        lyrics: str,
        instrumental: bool,
        task: str,
        tracks: str,
        language: str,
        bpm: int,
        key: str,
        time_signature: str,
        duration: float,
        source: Latent | None = None,
        codes: CodeList | None = None,
        timbre: Latent | None = None,
        global_caption: str = "",
    ) -> io.NodeOutput:
        seconds = duration or implied_seconds(source, codes)
        brief = replace(
            brief_of(caption, lyrics, instrumental, language, bpm, key, time_signature, seconds),
            stem=StemControl(global_caption, explicit_mask=False) if global_caption.strip() else None,
        )
        instructed(task, tracks)  # refuses what cannot be before any work
        wanted, found, lines = task_named(task), [], []
        for named in shared_out(wanted, tracks_named(tracks)):
            told = replace(brief, tracks=named)
            condition, report = encode(text_encoder, told, wanted, timbre, codes is not None)
            found.append(condition)
            lines += [f"{', '.join(named)}: {line}" if named else line for line in report]
        return io.NodeOutput(tuple(found), "\n".join((*lines, *remarks(caption, lyrics, instrumental))))


class BatchConditions(Node):
    """Several songs in one batch."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "conditioning",
            node_id="AceGraphBatchConditions",
            display_name="Batch Conditions (ACE-Step)",
            description="Joins conditions, so that each song of a batch has its own. For more than four, chain the node.",
            search_aliases=["join conditions", "conditioning batch"],
            inputs=[
                Conditions.Input("first", tooltip="Conditions of the first songs."),
                Conditions.Input("second", optional=True, tooltip="Conditions of the songs after those."),
                Conditions.Input("third", optional=True, tooltip="Conditions of the songs after those."),
                Conditions.Input("fourth", optional=True, tooltip="Conditions of the last songs."),
            ],
            outputs=[
                Conditions.Output(display_name="conditions", tooltip="One item per song, in this order.")
            ],
        )

    @classmethod
    def execute(
        cls,
        first: ConditionList,
        second: ConditionList = (),
        third: ConditionList = (),
        fourth: ConditionList = (),
    ) -> io.NodeOutput:
        return io.NodeOutput((*first, *(second or ()), *(third or ()), *(fourth or ())))


def shared_out(task: Task, tracks: Sequence[str]) -> list[Sequence[str]]:
    """The tracks of each song: a task for one track at a time plays a song for each of several."""
    return [(track,) for track in tracks] if task.tracks == "one" and len(tracks) > 1 else [tracks]


def instructed(task: str, tracks: str) -> list[str]:
    """What the model will be told to do, for each song."""
    named, wanted = tracks_named(tracks), task_named(task)
    if len(set(named)) < len(named):
        raise InvalidInputError(f"A track is named twice in {', '.join(named)}.", "Name each track once.")
    return [instruction(wanted, each) for each in shared_out(wanted, named)]


def encode(
    handle: TextHandle, brief: Brief, task: Task, timbre: Latent | None, has_codes: bool
) -> tuple[Condition, tuple[str, ...]]:
    """The condition of one song, encoded on the text encoder's device but waiting elsewhere, and the report on it."""
    require_learnt(task, handle.is_turbo)
    references = (
        None if timbre is None else frames_of_latent(timbre, "timbre", handle.conditioner.silence.channels)
    )
    encoders, stack = handle.encoders, handle.conditioner.condition_encoder.lyric_encoder.stack
    heard = TIMBRE_FRAMES * (1 if references is None else len(references))
    with encoders.at_work(encoding_bytes(stack, max(LYRIC_TOKENS, heard), encoders.dtype.itemsize)):
        condition, report = handle.conditioner.encode(
            brief, task, references, has_codes, device=encoders.device, dtype=encoders.dtype
        )
    return replace(condition, enc=condition.enc.to(rest_device())), report


def remarks(caption: str, lyrics: str, instrumental: bool) -> Iterator[str]:
    """What somebody who filled the fields in may not have meant."""
    if instrumental and lyrics.strip():
        yield "instrumental is on, so the lyrics are not sung."
    if not caption.strip():
        yield "The caption is empty, so the model chooses the style."
    if not (lyrics.strip() or instrumental):
        yield "The lyrics are empty, so the model may hum or sing what it likes; instrumental keeps it silent."


def implied_seconds(source: Latent | None, codes: CodeList | None) -> float:
    """How long the song will be by what is wired in."""
    if source is not None:
        return seconds_of(frames_of_latent(source, "source").shape[1])
    if codes is not None:
        return seconds_of_codes(codes.longest)
    return DEFAULT_SECONDS


def tracks_named(tracks: str) -> tuple[str, ...]:
    """Track names from what was typed: any case, separated by commas or bars, spaces as underscores."""
    names = tuple(
        name.strip().lower().replace(" ", "_") for name in tracks.replace("|", ",").split(",") if name.strip()
    )
    unknown = [name for name in names if name not in TRACKS]
    if unknown:
        raise InvalidInputError(
            f"There is no track {unknown[0][:80]!r}.", f"Choose from: {', '.join(TRACKS)}."
        )
    return names
