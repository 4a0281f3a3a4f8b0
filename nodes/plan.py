"""What the planner makes of text, and text of codes: plan, understand, inspire, format."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from comfy_api.latest import io

from ..acestep_core.errors import InvalidInputError
from ..acestep_core.interface import AUTO
from ..acestep_core.planner import requests as planning
from ..acestep_core.planner.chain_of_thought import Thought
from ..acestep_core.planner.generation import Options
from ..acestep_core.planner.requests import UNDERSTANDING
from ..acestep_core.planner.token_sampling import SamplingParams
from ..acestep_core.text.code_text import MAX_SONGS
from .host.node import Node, verdict
from .runs.planning import meter_of, options_of
from .wires.planner_inputs import DEFAULTS, guidance_inputs, planner_input, sampling_inputs, seed_input
from .wires.schema import schema
from .wires.sockets import CodeList, Codes, PlannerHandle
from .wires.song_inputs import (
    brief_of,
    brief_outputs,
    brief_values,
    caption_input,
    duration_input,
    figures_inputs,
    instrumental_input,
    language_input,
    lyrics_input,
)

UNIT = "tokens"


class Plan(Node):
    """The figures of a song, thought out before it is played."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "planner",
            node_id="AceGraphPlan",
            display_name="Plan (ACE-Step)",
            description="Chooses tempo, key, time signature, length and language for caption and lyrics, and makes the caption richer. "
            "What you set stays as it is.",
            search_aliases=["chain of thought", "metadata", "LM"],
            hidden=[io.Hidden.unique_id],
            inputs=[
                planner_input(),
                caption_input("Style, instruments, mood, voice; a few words are enough."),
                lyrics_input("What is sung; the planner reads it and leaves it alone."),
                instrumental_input(),
                language_input(),
                *figures_inputs(),
                io.Boolean.Input(
                    "enrich_caption",
                    default=True,
                    tooltip="The planner writes a richer caption. Off: yours comes out as it is.",
                ),
                seed_input(),
                *guidance_inputs(),
                *sampling_inputs(),
            ],
            outputs=brief_outputs(),
        )

    @classmethod
    def execute(  # noqa: PLR0913  (one argument per widget)
        cls,
        planner: PlannerHandle,
        caption: str,
        lyrics: str,
        instrumental: bool,
        language: str,
        bpm: int,
        key: str,
        time_signature: str,
        duration: float,
        enrich_caption: bool,
        seed: int,
        guidance: float = DEFAULTS.cfg,
        negative_prompt: str = "",
        temperature: float = DEFAULTS.temperature,
        top_p: float = DEFAULTS.top_p,
        top_k: int = DEFAULTS.top_k,
        min_p: float = DEFAULTS.min_p,
        repetition_penalty: float = DEFAULTS.penalty,
    ) -> io.NodeOutput:
        params = SamplingParams(temperature, guidance, top_p, top_k, min_p, repetition_penalty)
        brief = brief_of(caption, lyrics, instrumental, language, bpm, key, time_signature, duration)
        free = language == AUTO

        def ask(options: Options) -> planning.Answer:
            return planning.plan(planner.planner, brief, options, negative_prompt, enrich_caption, free)

        return answered(cls, planner, seed, params, ask)


class Understand(Node):
    """What a recording is."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "planner",
            node_id="AceGraphUnderstand",
            display_name="Understand (ACE-Step)",
            description="Listens to audio codes and writes down caption, lyrics, language, tempo, key and time signature. "
            "For a recording: Oobleck Encode, Audio to Codes, this node.",
            search_aliases=["transcribe", "describe", "analyse", "tag"],
            hidden=[io.Hidden.unique_id],
            inputs=[
                planner_input(),
                Codes.Input("codes", tooltip="From Audio to Codes, Load Codes or Compose Codes."),
                io.Int.Input(
                    "song", default=1, min=1, max=MAX_SONGS, tooltip="Which song of the batch is described."
                ),
                seed_input(),
                *sampling_inputs(UNDERSTANDING.temperature),
            ],
            outputs=brief_outputs(),
        )

    @classmethod
    def execute(  # noqa: PLR0913  (one argument per widget)
        cls,
        planner: PlannerHandle,
        codes: CodeList,
        song: int,
        seed: int,
        temperature: float = UNDERSTANDING.temperature,
        top_p: float = DEFAULTS.top_p,
        top_k: int = DEFAULTS.top_k,
        min_p: float = DEFAULTS.min_p,
        repetition_penalty: float = DEFAULTS.penalty,
    ) -> io.NodeOutput:
        if not 1 <= song <= len(codes.items):
            raise InvalidInputError(
                f"There is no song {song} among {len(codes.items)}.",
                "Choose the number of one that is there.",
            )
        params = SamplingParams(temperature, 1.0, top_p, top_k, min_p, repetition_penalty)
        heard = codes.items[song - 1].tolist()
        return answered(cls, planner, seed, params, partial(planning.understand, planner.planner, heard))


class Inspire(Node):
    """A whole song out of one sentence."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "planner",
            node_id="AceGraphInspire",
            display_name="Inspire (ACE-Step)",
            description="Turns a short wish into a whole song: caption, lyrics, language, tempo, key, time signature and length.",
            search_aliases=["simple mode", "idea", "lyrics writer"],
            hidden=[io.Hidden.unique_id],
            inputs=[
                planner_input(),
                io.String.Input(
                    "wish",
                    multiline=True,
                    placeholder="a sea shanty about a lost umbrella",
                    tooltip="What you would like to hear, in a few words.",
                ),
                instrumental_input(),
                language_input(),
                duration_input(),
                seed_input(),
                *sampling_inputs(),
            ],
            outputs=brief_outputs(),
        )

    @classmethod
    def validate_inputs(cls, wish: str | None = None) -> bool | str:
        return verdict(cls, planning.require_wish, wish=wish)

    @classmethod
    def execute(  # noqa: PLR0913  (one argument per widget)
        cls,
        planner: PlannerHandle,
        wish: str,
        instrumental: bool,
        language: str,
        duration: float,
        seed: int,
        temperature: float = DEFAULTS.temperature,
        top_p: float = DEFAULTS.top_p,
        top_k: int = DEFAULTS.top_k,
        min_p: float = DEFAULTS.min_p,
        repetition_penalty: float = DEFAULTS.penalty,
    ) -> io.NodeOutput:
        params = SamplingParams(temperature, 1.0, top_p, top_k, min_p, repetition_penalty)
        spoken = None if language == AUTO else language
        fixed = Thought(duration=max(1, int(duration)) if duration else None)

        def ask(options: Options) -> planning.Answer:
            answer = planning.inspire(planner.planner, wish, options, instrumental, spoken, fixed)
            return with_seconds(answer, duration)

        return answered(cls, planner, seed, params, ask)


class Format(Node):
    """Rough words in the form that the model likes."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "planner",
            node_id="AceGraphFormat",
            display_name="Format (ACE-Step)",
            description="Rewrites a rough caption and rough lyrics: a full description, section tags, and the figures that go with them. "
            "What you set stays as it is.",
            search_aliases=["rewrite", "polish", "lyrics format"],
            hidden=[io.Hidden.unique_id],
            inputs=[
                planner_input(),
                caption_input("A rough description; it may be empty if there are lyrics."),
                lyrics_input("Rough words. If empty, the planner takes the song for an instrumental."),
                instrumental_input(),
                language_input(),
                *figures_inputs(),
                seed_input(),
                *sampling_inputs(),
            ],
            outputs=brief_outputs(),
        )

    @classmethod
    def validate_inputs(cls, caption: str | None = None, lyrics: str | None = None) -> bool | str:
        return verdict(cls, planning.require_words, caption=caption, lyrics=lyrics)

    @classmethod
    def execute(  # noqa: PLR0913  (one argument per widget)
        cls,
        planner: PlannerHandle,
        caption: str,
        lyrics: str,
        instrumental: bool,
        language: str,
        bpm: int,
        key: str,
        time_signature: str,
        duration: float,
        seed: int,
        temperature: float = DEFAULTS.temperature,
        top_p: float = DEFAULTS.top_p,
        top_k: int = DEFAULTS.top_k,
        min_p: float = DEFAULTS.min_p,
        repetition_penalty: float = DEFAULTS.penalty,
    ) -> io.NodeOutput:
        params = SamplingParams(temperature, 1.0, top_p, top_k, min_p, repetition_penalty)
        brief = brief_of(caption, lyrics, instrumental, language, bpm, key, time_signature, duration)
        free = language == AUTO

        def ask(options: Options) -> planning.Answer:
            return planning.format_brief(planner.planner, brief, options, free)

        return answered(cls, planner, seed, params, ask)


def answered(
    node: type[io.ComfyNode],
    planner: PlannerHandle,
    seed: int,
    params: SamplingParams,
    ask: Callable[[Options], planning.Answer],
) -> io.NodeOutput:
    """What the planner answers, on the sockets; its weights are brought in only if there is something to be generated."""
    meter = meter_of(node, UNIT)
    answer = ask(options_of(planner, params, (seed,), meter))
    return io.NodeOutput(*brief_values(answer, meter.speed))


def with_seconds(answer: planning.Answer, seconds: float) -> planning.Answer:
    """The answer for a song whose length somebody set."""
    return replace(answer, brief=replace(answer.brief, duration=seconds)) if seconds else answer
