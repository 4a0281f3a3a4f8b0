"""The planner writes a song's melody and rhythm as audio codes."""

from collections.abc import Sequence
from dataclasses import replace

from comfy_api.latest import io
from torch import Tensor

from ..acestep_core.interface import AUTO
from ..acestep_core.planner import requests as planning
from ..acestep_core.planner.chain_of_thought import Thought, read
from ..acestep_core.planner.generation import Listener, compose_codes, prompts_of
from ..acestep_core.planner.requests import Composition
from ..acestep_core.planner.token_sampling import Choice
from ..acestep_core.text.code_text import MAX_SONGS
from ..acestep_core.timebase import seconds_of_codes
from .host.node import Node
from .host.runtime import rest_device
from .runs.planning import at_work, bytes_for, meter_of
from .wires.limits import within
from .wires.planner_inputs import PLAIN, freedom_inputs, guidance_inputs, planner_input, seed_input
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
                *freedom_inputs(),
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
        guidance: float = PLAIN.cfg,
        negative_prompt: str = "",
        temperature: float = PLAIN.temperature,
        top_p: float = PLAIN.top_p,
        top_k: int = PLAIN.top_k,
        min_p: float = PLAIN.min_p,
        repetition_penalty: float = PLAIN.penalty,
        may_end_early: bool = False,
        plan: str | None = None,
    ) -> io.NodeOutput:
        choice = Choice(temperature, guidance, top_p, top_k, min_p, repetition_penalty)
        brief = brief_of(caption, lyrics, instrumental, language, bpm, key, time_signature, duration)
        thought = read(plan) if plan else Thought()
        if language != AUTO:
            thought = replace(thought, language=brief.language)
        wanted = planning.compose(planner.scribe, brief, thought, negative_prompt, choice.cfg != 1)
        count = int(within(songs, 1, MAX_SONGS, "number of songs"))
        batches = batches_of(planner, wanted, choice, range(seed, seed + count))
        together = len(batches[0])
        meter = meter_of(
            cls, f"codes for each of {together} songs" if together > 1 else "codes", known_end=True
        )
        items = [
            item
            for done, seeds in enumerate(batches)
            for item in composed(
                planner, wanted, choice, seeds, may_end_early, meter.part(done, len(batches))
            )
        ]
        short = [
            f"Song {place} ended after {seconds_of_codes(len(item)):g} s."
            for place, item in enumerate(items, start=1)
            if len(item) < wanted.count
        ]
        speed = [f"Written: {meter.speed}."] if meter.speed else []
        apart = [f"Memory is enough for {together} songs at a time."] if len(batches) > 1 else []
        report = (*wanted.report, *apart, *speed, *short)
        return io.NodeOutput(CodeList(tuple(item.to(rest_device()) for item in items)), "\n".join(report))


def batches_of(planner: PlannerHandle, wanted: Composition, choice: Choice, seeds: range) -> list[range]:
    """The songs in as few batches of one size as memory allows; one song is always tried."""
    rows, tokens = size_of(wanted, choice)
    candidates, room = len(planner.scribe.code_ids), planner.managed.room
    fewest = next(
        number
        for number in range(1, len(seeds) + 1)
        if number == len(seeds)
        or bytes_for(planner, rows * -(-len(seeds) // number), tokens, candidates) <= room
    )
    size = -(-len(seeds) // fewest)
    return [seeds[first : first + size] for first in range(0, len(seeds), size)]


def size_of(wanted: Composition, choice: Choice) -> tuple[int, int]:
    """Rows for each song, and tokens in the longest of them."""
    prompts = prompts_of(wanted.prompt, wanted.negative, choice)
    return len(prompts), max(map(len, prompts)) + wanted.count


def composed(
    planner: PlannerHandle,
    wanted: Composition,
    choice: Choice,
    seeds: Sequence[int],
    may_stop: bool,
    listener: Listener,
) -> list[Tensor]:
    """One batch of songs."""
    scribe, (rows, tokens) = planner.scribe, size_of(wanted, choice)
    words = (wanted.prompt, wanted.negative, scribe.code_ids, scribe.end, wanted.count)
    with at_work(planner, rows * len(seeds), tokens, len(scribe.code_ids)) as like:
        how = (seeds, choice, listener, may_stop, like, scribe.records)
        return compose_codes(scribe.planner, *words, *how)
