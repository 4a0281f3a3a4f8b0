"""Which of several takes of a song follows its words best."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from comfy_api.latest import io
from torch import Tensor

from ...acestep_core.analysis.heads import lyric_heads
from ...acestep_core.analysis.lyric_score import LyricScore, lyric_score, of_words
from ...acestep_core.analysis.ranking import ranked
from ...acestep_core.errors import InvalidInputError
from ...acestep_core.planner.chain_of_thought import Thought, read, thought_of
from ...acestep_core.planner.scoring import SENSITIVITY, PlannerScore, Weights, asked_of, score_codes
from ...acestep_core.planner.token_sampling import SamplingParams
from ...acestep_core.sampling.job import require_count
from ..host.node import Node
from ..host.runtime import Bar, stop_if_asked
from ..runs.listening import has_words, last_moment, listen, played_songs, refuse_unequal
from ..runs.planning import options_of
from ..wires.run_inputs import steps_input
from ..wires.schema import advanced, report_output, schema
from ..wires.sockets import (
    CodeList,
    Codes,
    ConditionList,
    Conditions,
    Model,
    ModelHandle,
    Planner,
    PlannerHandle,
)
from ..wires.tensors import Latent, frames_of_latent

SENSITIVITIES = (0.01, 1.0)
PARTS = (  # of the planner's score: name, what it counts, and how that is said
    ("caption", 0.5, "the caption counts"),
    ("lyrics", 0.3, "the lyrics count"),
    ("fields", 0.2, "tempo, key and the like count"),
)
WEAK = (
    "These numbers compare takes of one song with each other and are no marks: they tell how well a take can be described by "
    "its words, not whether it is beautiful. Small differences mean nothing; listen."
)


@dataclass(frozen=True, slots=True)
class Take:
    """What is known of one take."""

    planned: PlannerScore | None = None
    sung: LyricScore | None = None


class ScoreTakes(Node):
    """Takes of one song, ranked."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "analysis",
            node_id="AceGraphScoreTakes",
            display_name="Score Takes (ACE-Step)",
            description="Ranks takes of one song by how well they follow their words: by their codes with a planner, by the song itself "
            "with the model, or by both. A rough guess that saves listening to the worst; it does not replace ears.",
            search_aliases=["rank", "best of", "quality score", "pmi", "select"],
            inputs=[*wires(), *widgets()],
            outputs=[
                io.Int.Output(display_name="best", tooltip="The best take, counted from 0. For Pick Take."),
                io.String.Output(
                    display_name="order",
                    tooltip="All takes from the best to the worst, counted from 0. For Pick Take.",
                ),
                report_output(),
            ],
        )

    @classmethod
    def execute(  # noqa: PLR0913  (one argument per widget)
        cls,
        conditions: ConditionList,
        sensitivity: float,
        steps: int = 0,
        caption_weight: float = 0.5,
        lyrics_weight: float = 0.3,
        fields_weight: float = 0.2,
        heads: str = "",
        planner: PlannerHandle | None = None,
        codes: CodeList | None = None,
        plan: str | None = None,
        model: ModelHandle | None = None,
        latent: Latent | None = None,
        source: Latent | None = None,
        mask: Tensor | None = None,
    ) -> io.NodeOutput:
        refuse_halves({"planner": planner, "codes": codes}, {"model": model, "latent": latent})
        shares = Weights(caption_weight, lyrics_weight, fields_weight)
        count = takes_in(codes, latent)
        require_count(conditions, (1, count), "conditions", count)
        planned: Sequence[PlannerScore | None] = [None] * count
        sung: Sequence[LyricScore | None] = [None] * count
        silent = None if has_words(conditions) else "Nobody sings, so the lyric score is left out."
        if planner is not None and codes is not None:
            planned = planner_scores(
                planner, conditions, codes, read(plan) if plan else Thought(), sensitivity, count
            )
        if model is not None and latent is not None and (silent is None or planner is None):
            sung, silent = lyric_scores(model, conditions, latent, source, mask, steps, heads), None
        takes = [Take(*scores) for scores in zip(planned, sung, strict=True)]
        order = ranked(measures_of(takes, shares))
        return io.NodeOutput(
            order[0], json.dumps(order), report_of(takes, order, shares, silent if model else None)
        )


def wires() -> list[io.Input]:
    """What is connected."""
    return [
        Conditions.Input(
            "conditions", tooltip="What all takes were asked for: one for all, or one for each."
        ),
        Planner.Input("planner", optional=True, tooltip="From Load Planner: judges the codes. Needs codes."),
        Codes.Input(
            "codes",
            optional=True,
            tooltip="The codes of every take: from Compose Codes, or from Audio to Codes for a recording or a finished latent.",
        ),
        io.String.Input(
            "plan",
            optional=True,
            force_input=True,
            tooltip="From Plan: tempo, key and the like that the conditions leave open.",
        ),
        Model.Input("model", optional=True, tooltip="From Load ACE-Step: judges the singing. Needs latent."),
        io.Latent.Input("latent", optional=True, tooltip="The takes, from the Sampler: a batch."),
        io.Latent.Input(
            "source", optional=True, tooltip="What the Sampler had as source, if it was no silence."
        ),
        io.Mask.Input("mask", optional=True, tooltip="What the Sampler had as mask, if it had one."),
    ]


def widgets() -> list[io.Input]:
    """What is set."""
    return [
        io.Float.Input(
            "sensitivity",
            default=SENSITIVITY,
            min=SENSITIVITIES[0],
            max=SENSITIVITIES[1],
            step=0.01,
            tooltip="Lower spreads the planner's caption and lyrics scores further apart; the order stays nearly the same.",
        ),
        steps_input(
            "Steps that the takes were played with; the model listens as in the last of them. 0: auto."
        ),
        *(advanced(weight(*row)) for row in PARTS),
        advanced(
            io.String.Input(
                "heads",
                default="",
                tooltip="For checkpoints of unpublished sizes: JSON that names attention heads by layer. Empty: auto.",
            )
        ),
    ]


def weight(part: str, default: float, counts: str) -> io.Input:
    """What one part of the planner's score counts."""
    return io.Float.Input(
        f"{part}_weight",
        default=default,
        min=0.0,
        max=1.0,
        step=0.05,
        tooltip=f"How much {counts} in the planner's score; parts that are missing are left out.",
    )


def refuse_halves(*pairs: dict[str, object]) -> None:
    """Refuse a judge without what it judges, and the other way round, and no judge at all."""
    for pair in pairs:
        there = [name for name, wired in pair.items() if wired is not None]
        if len(there) == 1:
            (missing,) = set(pair) - set(there)
            raise InvalidInputError(
                f"Only {there[0]} is connected, and {missing} belongs to it.", f"Connect {missing} as well."
            )
    if all(wired is None for pair in pairs for wired in pair.values()):
        raise InvalidInputError(
            "There is nothing to judge the takes by.",
            "Connect a planner and codes, or the model and the latent.",
        )


def takes_in(codes: CodeList | None, latent: Latent | None) -> int:
    """How many takes there are; one song of codes may stand for all."""
    songs = 0 if latent is None else len(frames_of_latent(latent, "latent"))
    items = 0 if codes is None else len(codes.items)
    if codes is not None and not items:
        raise InvalidInputError("There are no codes.", "Connect codes from Compose Codes or Audio to Codes.")
    if songs and items not in (0, 1):
        refuse_unequal(items, songs, "songs of codes")
    return max(songs, items)


def planner_scores(
    planner: PlannerHandle,
    conditions: ConditionList,
    codes: CodeList,
    plan: Thought,
    sensitivity: float,
    count: int,
) -> list[PlannerScore]:
    """The planner's score of every take."""
    bar, found, vocabulary = Bar(count), list[PlannerScore](), planner.planner.network.sizes.vocab_size
    numbers = codes.numbers()
    for take in range(count):
        stop_if_asked()
        brief = conditions[take if len(conditions) > 1 else 0].brief
        options = options_of(planner, SamplingParams(), (0,), lambda *_: None, candidates=vocabulary)
        asked = asked_of(brief, plan, thought_of(brief))
        song = numbers[take if len(numbers) > 1 else 0]
        found.append(score_codes(planner.planner, song, brief, asked, options, sensitivity))
        bar.move(take + 1, count)
    return found


def lyric_scores(
    model: ModelHandle,
    conditions: ConditionList,
    latent: Latent,
    source: Latent | None,
    mask: Tensor | None,
    steps: int,
    heads: str,
) -> list[LyricScore]:
    """The lyric score of every take."""
    songs = played_songs(model, conditions, latent, source, mask)
    wanted = lyric_heads(model.config, model.lyric_heads, heads)
    maps = listen(model, songs, wanted, [last_moment(model, steps)])
    pieces = [() if song.condition.lyrics is None else song.condition.lyrics.pieces for song in songs]
    return [lyric_score(found[0], of_words(words)) for found, words in zip(maps, pieces, strict=True)]


def measures_of(takes: Sequence[Take], weights: Weights) -> list[list[float]]:
    """What the takes are ranked by."""
    rewards = [take.planned.reward(weights) for take in takes if take.planned is not None]
    singing = [take.sung.score for take in takes if take.sung is not None]
    return [measure for measure in (rewards, singing) if measure]


def report_of(takes: Sequence[Take], order: Sequence[int], weights: Weights, silent: str | None) -> str:
    """A line for each take, the best first."""
    lines = [
        f"Place {place}: take {take} (song {take + 1} of the batch). {words_of(takes[take], weights)}"
        for place, take in enumerate(order, start=1)
    ]
    return "\n".join((*lines, *([silent] if silent else []), WEAK))


def words_of(take: Take, weights: Weights) -> str:
    """The numbers of one take."""
    parts: list[str] = []
    if take.planned is not None:
        told = {"caption": take.planned.caption, "lyrics": take.planned.lyrics, **take.planned.fields}
        said = ", ".join(f"{name} {value:.3f}" for name, value in told.items() if value is not None)
        parts.append(
            f"Planner {take.planned.reward(weights):.3f} ({said})." if said else "Planner 0: no words."
        )
    if take.sung is not None:
        parts.append(f"Singing {take.sung.score:.4f}, words covered {take.sung.coverage:.0%}.")
    return " ".join(parts)
