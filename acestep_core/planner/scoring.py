"""How well audio codes fit the words they were to be composed by, as the planner would have described them.

The codes are read once; each target text is then tried as their description, without writing anything. Deliberate
differences from the official score: the time signature is a number, as the planner writes it; special tokens in texts are
ordinary text; nothing is cut.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from ..text.prompts import Brief, Prompt
from .chain_of_thought import Thought
from .chats import NOTHING_SAID, THINK, THINK_END, UNDERSTAND, opened, understand_prompt
from .decoding import Decoder
from .generation import Options, Prompts, prefilled
from .planner import Planner, check_room, check_texts
from .requests import UNKNOWN, known_codes
from .token_sampling import SamplingParams

SENSITIVITY = 0.5
BEST = 10  # ranks that count
AT_ONCE = 16  # tokens of which all logits are held at a time
BOTH = SamplingParams(cfg=2.0)  # reads the prompt with codes and the one without


@dataclass(frozen=True, slots=True)
class Weights:
    """What the parts of a score count."""

    caption: float = 0.5
    lyrics: float = 0.3
    fields: float = 0.2


@dataclass(frozen=True, slots=True)
class PlannerScore:
    """Parts from 0 to 1; None: nothing was asked for."""

    caption: float | None = None
    lyrics: float | None = None
    fields: Mapping[str, float] = field(default_factory=dict)

    def reward(self, weights: Weights | None = None) -> float:
        """All in one: the weighted mean of what is there."""
        weights = weights or Weights()
        mean = sum(self.fields.values()) / len(self.fields) if self.fields else None
        parts = ((self.caption, weights.caption), (self.lyrics, weights.lyrics), (mean, weights.fields))
        there = [(value, weight) for value, weight in parts if value is not None]
        total = sum(weight for _, weight in there)
        return sum(value * weight for value, weight in there) / total if total else 0.0


@dataclass(frozen=True, slots=True)
class Likelihood:
    """How the tokens of one text were expected, with the codes and without."""

    with_codes: float  # mean logarithm of their chances
    without: float
    recall: float  # mean over tokens, with the codes: 1 for the likeliest, 0 from the eleventh on


def score_codes(
    planner: Planner,
    codes: Sequence[int],
    brief: Brief,
    thought: Thought,
    options: Options,
    sensitivity: float = SENSITIVITY,
) -> PlannerScore:
    """The score of one take. thought: figures that were asked for, as `asked_of` puts them together."""
    found = likelihoods(planner, codes, targets_of(brief, thought), options)

    def gain(name: str) -> float | None:
        told = found.get(name)
        return None if told is None else sigmoid((told.with_codes - told.without) / sensitivity)

    fields = {name: told.recall for name, told in found.items() if name not in ("caption", "lyrics")}
    return PlannerScore(gain("caption"), gain("lyrics"), fields)


def asked_of(brief: Brief, thought: Thought, own: Thought) -> Thought:
    """Figures to look for: those of the brief (`own`), else those of a plan; without caption and genres."""
    language = None if brief.language == UNKNOWN else brief.language
    return replace(thought.overruled_by(own), caption=None, language=language or thought.language)


def targets_of(brief: Brief, thought: Thought) -> dict[str, Prompt]:
    """The texts that the planner might have written about the codes, by what they are about."""
    targets: dict[str, Prompt] = {}
    if brief.caption.strip():
        targets["caption"] = thinking(Thought(caption=brief.caption.strip()).to_yaml())
    if brief.lyrics.strip() and not brief.instrumental:
        targets["lyrics"] = Prompt((THINK, "\n", THINK_END, f"\n# Lyric\n{brief.lyrics}\n"))
    for name, value in thought.as_dict().items():
        if name != "caption":
            targets[name] = thinking(field_yaml(name, value))
    return targets


def field_yaml(name: str, value: int | str) -> str:
    """One field as the planner writes it."""
    if name == "genres":
        return f"genres: {value}"
    return replace(Thought(), **{name: value}).to_yaml()


def thinking(yaml: str) -> Prompt:
    """A thought of one field."""
    return Prompt((THINK, f"\n{yaml}\n", THINK_END, "\n"))


@torch.no_grad()
def likelihoods(
    planner: Planner, codes: Sequence[int], targets: Mapping[str, Prompt], options: Options
) -> dict[str, Likelihood]:
    """Each target after the codes and after none. Prompts are read once; every target goes on from there."""
    song = known_codes(planner, codes)
    check_texts({name: str(target) for name, target in targets.items()})
    prompts = Prompts(planner.ids(understand_prompt(song)), planner.ids(opened(UNDERSTAND, NOTHING_SAID)))
    ids = {name: planner.ids(target) for name, target in targets.items()}
    longest = max(map(len, ids.values()), default=0)
    check_room(len(prompts.ids) + longest, planner.usable, "codes and the words")
    if not ids:
        return {}
    options = replace(options, params=BOTH, seeds=(0,), record=False)
    with prefilled(planner.network, prompts, longest, options) as decoder:
        return {name: continued(planner, decoder, target) for name, target in ids.items()}


def continued(planner: Planner, decoder: Decoder, ids: Sequence[int]) -> Likelihood:
    """One target after both prompts; the cache stays where the prompts end, so that the next one goes on from there too."""
    network, last = planner.network, decoder.hidden[:, None]
    given = torch.tensor([list(ids)], device=last.device)
    rows = given[:, :-1].expand(2, -1)
    read = network(rows, decoder.cache.view_of_next(rows.shape[1])) if rows.shape[1] else last[:, :0]
    hidden = torch.cat((last, read), 1)
    head = network.rows(slice(None), hidden.device, hidden.dtype)
    chances, recalls = torch.zeros(2), 0.0
    for first in range(0, len(ids), AT_ONCE):
        part, wanted = hidden[:, first : first + AT_ONCE], given[0, first : first + AT_ONCE]
        logits = F.linear(part, head).float()
        chances += torch.stack([logarithms(branch, wanted).sum() for branch in logits]).cpu()
        recalls += float(recall(logits[0], wanted).sum())
    with_codes, without = (chances / len(ids)).tolist()
    return Likelihood(with_codes, without, recalls / len(ids))


def logarithms(logits: Tensor, ids: Tensor) -> Tensor:
    """Of the chances of tokens [N] under logits [N, V]."""
    return logits.log_softmax(-1).gather(-1, ids[:, None])[:, 0]


def recall(logits: Tensor, ids: Tensor) -> Tensor:
    """[N]: 1 where a token is the likeliest, a tenth less for each that is likelier, 0 from the eleventh place on."""
    before = (logits > logits.gather(-1, ids[:, None])).sum(-1)
    return torch.where(before < BEST, 1 - before / BEST, 0.0)


def sigmoid(x: float) -> float:
    """From 0 to 1, without overflow."""
    return 0.5 * (1 + math.tanh(x / 2))
