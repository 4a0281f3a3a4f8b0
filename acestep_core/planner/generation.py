"""The planner's two loops: a text under a grammar, and audio codes for several songs at once."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from itertools import count as counted
from itertools import islice
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import InvalidInputError
from ..interface import Listener, ignore
from ..networks.config import TEXT_ROWS
from .decoding import Decoder
from .grammar import ChoicePoint
from .network import Head, PlannerNetwork
from .token_sampling import Dice, SamplingParams, choose, guided, or_broken, penalised, refuse_broken

SPARSE = 4  # rows are gathered where fewer than one in so many of a range are allowed

BringIn = Callable[[int, int], AbstractContextManager[object]]  # rows, and tokens in each


def already_there(rows: int, tokens: int) -> AbstractContextManager[object]:  # noqa: ARG001  (room that is not needed)
    """Nothing has to be brought in: the network computes where its weights are."""
    return nullcontext()


@dataclass(frozen=True, slots=True)
class Prompts:
    """What the network is fed before it answers."""

    ids: Sequence[int]
    negative: Sequence[int] | None = None  # what guidance leads away from; None: no guidance

    def fed(self, params: SamplingParams) -> list[Sequence[int]]:
        """One or both: without guidance the negative one is left out."""
        prompts = [self.ids] if self.negative is None or params.cfg == 1 else [self.ids, self.negative]
        if not all(len(ids) for ids in prompts):
            raise InvalidInputError("A prompt of the planner is empty.", "Write a caption.")
        return prompts


@dataclass(frozen=True, slots=True)
class Options:
    """How tokens are generated, whatever they are."""

    params: SamplingParams = field(default_factory=SamplingParams)
    seeds: Sequence[int] = (0,)  # one per item; a text is one item
    device: torch.device | None = None  # to compute on; None: that of the weights
    dtype: torch.dtype | None = None  # to compute in; None: that of the weights
    record: bool = True  # whether steps may be captured as a CUDA graph
    on_token: Listener = ignore
    bring_in: BringIn = already_there  # entered around the work, and not at all where there is none


class Guide(Protocol):
    """What leads a text through a grammar, one token after another."""

    @property
    def done(self) -> bool:
        """Whether the text is complete."""
        ...

    def forced(self) -> Sequence[int]:
        """Tokens that come now whatever the logits; empty where there is a choice."""
        ...

    def choice(self) -> ChoicePoint:
        """Where there is one; the same object whenever the grammar is in the same state."""
        ...

    def take(self, token: int) -> None:
        """Go on by a forced or chosen token."""
        ...


@contextmanager
def prefilled(network: PlannerNetwork, prompts: Prompts, room: int, options: Options) -> Iterator[Decoder]:
    """The network brought in and fed with the prompts, for at most `room` more tokens of each item."""
    fed, items = prompts.fed(options.params), len(options.seeds)
    with options.bring_in(len(fed) * items, max(map(len, fed)) + room):
        yield Decoder(network, fed, items, room, options.device, options.dtype, options.record)


@torch.no_grad()
def generate_text(
    network: PlannerNetwork, prompts: Prompts, guide: Guide, limit: int, options: Options
) -> list[int]:
    """At most `limit` tokens, forced ones included."""
    text: list[int] = []
    with prefilled(network, prompts, limit, options) as decoder:
        sampler = TextSampler(decoder, options)
        while not guide.done and len(text) < limit:
            tokens = guide.forced() or (sampler.next_token(text, guide.choice()),)
            for token in tokens[: limit - len(text)]:
                guide.take(token)
                text.append(token)
                options.on_token(len(text), limit)
    return text


class TextSampler:
    """Samples the tokens of one text.

    A forced token needs no logits, so it is not fed on its own: the next choice feeds all that came since the last one
    in a single forward, as a prefill does.
    """

    def __init__(self, decoder: Decoder, options: Options) -> None:
        (seed,) = options.seeds
        self._decoder, self._params, self._dice = decoder, options.params, Dice([seed])
        self._logits = AllowedLogits(decoder.network, decoder.hidden.device, decoder.hidden.dtype)
        self._seen = torch.zeros(1, decoder.network.sizes.vocab_size, dtype=torch.bool)
        self._fed = 0  # tokens of the text

    def next_token(self, text: Sequence[int], point: ChoicePoint) -> int:
        """One of the tokens that are allowed after all of `text`."""
        if unfed := text[self._fed :]:
            self._decoder.feed(torch.tensor([unfed], device=self._decoder.hidden.device))
            self._seen[0, torch.tensor(unfed)] = True
            self._fed = len(text)
        params = self._params
        logits = guided(self._logits(self._decoder.hidden, point), 1, params.cfg)
        if params.penalty != 1:
            seen = self._seen[:, point.allowed.cpu()].to(logits.device)
            logits = penalised(logits, seen, params.penalty)
        best = logits.argmax(-1) if point.greedy else choose(logits, params, self._dice.roll(logits))
        index = int(or_broken(best, logits))
        refuse_broken([index])
        return int(point.allowed[index])


class AllowedLogits:
    """Logits of the tokens that a grammar allows, with what they need kept for each of its choice points."""

    def __init__(self, network: PlannerNetwork, device: torch.device, dtype: torch.dtype) -> None:
        self._network, self._device, self._dtype = network, device, dtype
        self._known: dict[ChoicePoint, tuple[Tensor, Tensor | None]] = {}  # head rows; indices among them
        self._cast = network.table[:0]

    def __call__(self, hidden: Tensor, point: ChoicePoint) -> Tensor:
        """hidden: [R, W] -> [R, V] for the V allowed tokens."""
        if point not in self._known:
            self._known[point] = self._prepared(point.allowed)
        rows, indices = self._known[point]
        logits = F.linear(hidden.to(rows.device), rows)
        return (logits if indices is None else logits[:, indices]).to(hidden.device)

    def _prepared(self, ids: Tensor) -> tuple[Tensor, Tensor | None]:
        first, last = int(ids[0]), int(ids[-1])
        if len(ids) * SPARSE < last + 1 - first:
            return self._network.rows(ids, self._device, self._dtype), None
        rows = self._table(last + 1)[first:]  # too many to be moved
        return rows, None if len(ids) == len(rows) else (ids - first).to(rows.device)

    def _table(self, stop: int) -> Tensor:
        """The first rows of the table in the dtype to compute in; if they have to be cast, all sets share the copy."""
        table = self._network.table
        if table.dtype != self._dtype and len(self._cast) < stop:
            self._cast = table[: max(stop, TEXT_ROWS)].to(self._dtype)
        return (table if table.dtype == self._dtype else self._cast)[:stop]


@dataclass(frozen=True, slots=True)
class CodeTokens:
    """The tokens that songs are composed of."""

    ids: range  # of the codes, in their order
    end: int | None = None  # ends a song before its time; None: no song may end early


@torch.no_grad()
def compose_codes(
    network: PlannerNetwork, prompts: Prompts, tokens: CodeTokens, count: int, options: Options
) -> list[Tensor]:
    """`count` code numbers for each seed, fewer where an item ends early: int64 [n] on the CPU.

    An item that has ended keeps its rows in the batch until all are done.
    """
    items = len(options.seeds)
    if not items:
        raise InvalidInputError("There is no seed.", "Give one seed per song.")
    columns, lengths = list[Tensor](), [count] * items
    with prefilled(network, prompts, count, options) as decoder:
        for column in islice(sampled_columns(decoder, tokens, options), count):
            columns.append(column.cpu())  # the one wait for the device
            refuse_broken(columns[-1].tolist())
            if tokens.end is not None:
                ended = columns[-1] == len(tokens.ids)
                lengths = [
                    min(n, len(columns) - 1) if over else n for n, over in zip(lengths, ended, strict=True)
                ]
            options.on_token(len(columns), count)
            if max(lengths) < len(columns):
                break
    table = torch.stack(columns, 1) if columns else torch.zeros(items, 0, dtype=torch.int64)
    return [row[:n] for row, n in zip(table, lengths, strict=True)]


def sampled_columns(decoder: Decoder, tokens: CodeTokens, options: Options) -> Iterator[Tensor]:
    """The next code number of every item [I], for ever; a number past the codes is the end, which never comes first."""
    params, dice, codes = options.params, Dice(options.seeds), tokens.ids
    heads = heads_of(decoder, tokens)
    width = len(codes) + (tokens.end is not None)
    seen = torch.zeros(decoder.items, width, dtype=torch.bool, device=decoder.hidden.device)
    for step in counted():
        logits = torch.cat([head(decoder.hidden) for head in heads], -1)
        logits = guided(logits, decoder.items, params.cfg)
        if params.penalty != 1:
            logits = penalised(logits, seen, params.penalty)
        column = choose(logits if step else logits[:, : len(codes)], params, dice.roll(logits))
        seen.scatter_(1, column[:, None], True)
        yield or_broken(column, logits)
        token = codes.start + column
        if tokens.end is not None:
            token = torch.where(column < len(codes), token, tokens.end)
        decoder.feed(token[:, None])


def heads_of(decoder: Decoder, tokens: CodeTokens) -> list[Head]:
    """Logits of the codes, and of the end where there may be one."""
    slices = [slice(tokens.ids.start, tokens.ids.stop)]
    if tokens.end is not None:
        slices.append(slice(tokens.end, tokens.end + 1))
    where = decoder.hidden.device, decoder.hidden.dtype
    return [decoder.network.head(cut, *where) for cut in slices]
