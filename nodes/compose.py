"""The planner writes a song's melody and rhythm as audio codes."""

from dataclasses import replace

from comfy_api.latest import io
from torch import Tensor

from ..acestep_core.interface import AUTO
from ..acestep_core.planner import requests as planning
from ..acestep_core.planner.chain_of_thought import Thought, read
from ..acestep_core.planner.generation import compose_codes
from ..acestep_core.planner.requests import CodesRequest
from ..acestep_core.planner.token_sampling import SamplingParams
from ..acestep_core.text.code_text import MAX_SONGS
from ..acestep_core.timebase import seconds_of_codes
from .host.node import Node
from .host.runtime import rest_device
from .runs.planning import Meter, bytes_for, meter_of, options_of
from .wires.planner_inputs import DEFAULTS, guidance_inputs, planner_input, sampling_inputs, seed_input
from .wires.schema import advanced, report_output, schema
from .wires.sockets import CodeList, Codes, PlannerHandle
from .wires.song_inputs import (
    brief_of,
    caption_input,
    figures_inputs,
    instrumental_input,
    language_input,
    lyrics_input,
)

PLANNED = "as in the plan"


class ComposeCodes(Node):
    """Codes for a song, or for several at once."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "planner",
            node_id="AceGraphComposeCodes",
            display_name="Compose Codes (ACE-Step)",
            description="Writes audio codes, five for each second: the melody and rhythm that the Sampler then plays. Connect them to "
            "Encode Conditions and, through Codes to Latent, to the Sampler's source.",
            search_aliases=["semantic tokens", "thinking", "LM"],
            hidden=[io.Hidden.unique_id],
            inputs=[
                planner_input(),
                caption_input(
                    "Style, instruments, mood, voice. After Plan: your own caption, not the richer one; "
                    "after Inspire or Format: theirs."
                ),
                lyrics_input("What is sung. After Inspire or Format: theirs."),
                io.String.Input(
                    "plan",
                    optional=True,
                    force_input=True,
                    tooltip="From Plan, Inspire or Format: what is left open below is taken from it.",
                ),
                instrumental_input(),
                language_input(PLANNED),
                *figures_inputs(PLANNED),
                io.Int.Input(
                    "songs",
                    default=1,
                    min=1,
                    max=MAX_SONGS,
                    tooltip="Different songs from the same words; song i uses seed + i.",
                ),
                seed_input(),
                *guidance_inputs(),
                *sampling_inputs(),
                advanced(
                    io.Boolean.Input(
                        "may_end_early",
                        default=False,
                        tooltip="A song may be shorter than asked for, where the planner thinks it is over.",
                    )
                ),
            ],
            outputs=[
                Codes.Output(
                    display_name="codes",
                    tooltip="For Encode Conditions, Codes to Latent, Save Codes.",
                ),
                report_output(),
            ],
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
        songs: int,
        seed: int,
        guidance: float = DEFAULTS.cfg,
        negative_prompt: str = "",
        temperature: float = DEFAULTS.temperature,
        top_p: float = DEFAULTS.top_p,
        top_k: int = DEFAULTS.top_k,
        min_p: float = DEFAULTS.min_p,
        repetition_penalty: float = DEFAULTS.penalty,
        may_end_early: bool = False,
        plan: str | None = None,
    ) -> io.NodeOutput:
        params = SamplingParams(temperature, guidance, top_p, top_k, min_p, repetition_penalty)
        brief = brief_of(caption, lyrics, instrumental, language, bpm, key, time_signature, duration)
        thought = read(plan) if plan else Thought()
        if language != AUTO:
            thought = replace(thought, language=brief.language)
        wanted = planning.codes_request(planner.planner, brief, thought, negative_prompt, params.cfg != 1)
        batches = batches_of(planner, wanted, params, range(seed, seed + songs))
        together = len(batches[0])
        unit = f"codes for each of {together} songs" if together > 1 else "codes"
        meter = meter_of(cls, unit, known_end=True)
        items = composed(planner, wanted, params, batches, may_end_early, meter)
        report = report_of(wanted, batches, items, meter.speed)
        return io.NodeOutput(CodeList(tuple(item.to(rest_device()) for item in items)), report)


def batches_of(
    planner: PlannerHandle, wanted: CodesRequest, params: SamplingParams, seeds: range
) -> list[range]:
    """The songs in as few batches of one size as memory allows; one song is always tried."""
    prompts = wanted.prompts.fed(params)
    rows, tokens = len(prompts), max(map(len, prompts)) + wanted.count  # of each song
    candidates, room = len(planner.planner.code_tokens().ids), planner.managed.room
    fewest = next(
        number
        for number in range(1, len(seeds) + 1)
        if number == len(seeds)
        or bytes_for(planner, rows * -(-len(seeds) // number), tokens, candidates) <= room
    )
    size = -(-len(seeds) // fewest)
    return [seeds[first : first + size] for first in range(0, len(seeds), size)]


def composed(
    planner: PlannerHandle,
    wanted: CodesRequest,
    params: SamplingParams,
    batches: list[range],
    may_end_early: bool,
    meter: Meter,
) -> list[Tensor]:
    """The songs, batch after batch."""
    network, tokens = planner.planner.network, planner.planner.code_tokens(may_end_early)
    songs: list[Tensor] = []
    for number, seeds in enumerate(batches):
        listener = meter.part(number, len(batches))
        options = options_of(planner, params, seeds, listener, candidates=len(tokens.ids))
        songs += compose_codes(network, wanted.prompts, tokens, wanted.count, options)
    return songs


def report_of(wanted: CodesRequest, batches: list[range], items: list[Tensor], speed: str) -> str:
    """What was composed, how fast, and what turned out otherwise than asked for."""
    short = [
        f"Song {number} ended after {seconds_of_codes(len(item)):g} s."
        for number, item in enumerate(items, start=1)
        if len(item) < wanted.count
    ]
    apart = [f"Memory is enough for {len(batches[0])} songs at a time."] if len(batches) > 1 else []
    return "\n".join((*wanted.report, *apart, *([f"Written: {speed}."] if speed else []), *short))
