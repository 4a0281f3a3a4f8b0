"""The planner's two loops: a text under a grammar, and audio codes for several songs at once."""

from collections.abc import Callable, Iterator, Sequence
from itertools import count as counted
from itertools import islice
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import InvalidInputError
from ..networks.config import TEXT_ROWS
from .decoding import Reader
from .network import Planner
from .token_sampling import Choice, Dice, choose, guided, penalised, refuse_broken, sound

SPARSE = 4  # rows are gathered where fewer than one in so many of a range are allowed

Listener = Callable[[int, int], None]


def nobody(done: int, total: int) -> None:
    """A listener that does not care."""


class Walk(Protocol):
    """A way through a grammar, one token after another."""

    @property
    def done(self) -> bool:
        """Whether the text is complete."""
        ...

    @property
    def greedy(self) -> bool:
        """Whether the likeliest token is taken here instead of a drawn one."""
        ...

    def forced(self) -> tuple[int, ...]:
        """Tokens that come now whatever the logits; empty where there is a choice."""
        ...

    def allowed(self) -> Tensor:
        """Where there is a choice: sorted int64 ids; the same object whenever the grammar is in the same state."""
        ...

    def take(self, token: int) -> None:
        """Go on by a forced or chosen token."""
        ...


@torch.no_grad()
def write_text(  # noqa: PLR0913  (a run has that many independent parts)
    planner: Planner,
    prompt_ids: Sequence[int],
    negative_ids: Sequence[int] | None,
    walk: Walk,
    choice: Choice,
    seed: int,
    limit: int,
    listener: Listener = nobody,
    like: Tensor | None = None,
    record: bool = True,
) -> list[int]:
    """At most `limit` tokens, forced ones included.

    like: a tensor where, and in the dtype in which, to compute. record: whether steps may be recorded and replayed.
    """
    like = weight_of(planner) if like is None else like
    reader = Reader(planner, prompts_of(prompt_ids, negative_ids, choice), 1, limit, like, record)
    pen = Pen(reader, choice, seed)
    text: list[int] = []
    while not walk.done and len(text) < limit:
        tokens = walk.forced() or (pen.next_token(text, walk.allowed(), walk.greedy),)
        for token in tokens[: limit - len(text)]:
            walk.take(token)
            text.append(token)
            listener(len(text), limit)
    return text


class Pen:
    """Chooses the tokens of one text; tokens that need no choice wait until the next one does, and are read at once."""

    def __init__(self, reader: Reader, choice: Choice, seed: int) -> None:
        self._reader, self._choice, self._dice = reader, choice, Dice([seed])
        self._candidates = Candidates(reader.planner, reader.hidden)
        self._written = torch.zeros(1, reader.planner.sizes.vocab_size, dtype=torch.bool)
        self._read = 0  # tokens of the text

    def next_token(self, text: Sequence[int], ids: Tensor, greedy: bool) -> int:
        """One of the sorted `ids`, after all of `text`."""
        if unread := text[self._read :]:
            self._reader.read(torch.tensor([unread], device=self._reader.hidden.device))
            self._written[0, torch.tensor(unread)] = True
            self._read = len(text)
        logits = guided(self._candidates.logits(self._reader.hidden, ids), 1, self._choice.cfg)
        if self._choice.penalty != 1:
            logits = penalised(logits, self._written[:, ids.cpu()].to(logits.device), self._choice.penalty)
        best = logits.argmax(-1) if greedy else choose(logits, self._choice, self._dice.roll(logits))
        place = int(sound(best, logits))
        refuse_broken([place])
        return int(ids[place])


class Candidates:
    """Logits of the tokens that a grammar allows, with what they need kept per grammar state."""

    def __init__(self, planner: Planner, like: Tensor) -> None:
        self._planner, self._like = planner, like
        self._known: dict[int, tuple[Tensor, Tensor, Tensor | None]] = {}  # id -> ids, head rows, places
        self._cast = planner.table[:0]

    def logits(self, hidden: Tensor, ids: Tensor) -> Tensor:
        """hidden: [R, W] -> [R, V], V sorted ids."""
        if id(ids) not in self._known:
            self._known[id(ids)] = self._prepared(ids)  # holds `ids`, so that no other tensor gets its name
        _, rows, places = self._known[id(ids)]
        logits = F.linear(hidden.to(rows.device), rows)
        return (logits if places is None else logits[:, places]).to(hidden.device)

    def _prepared(self, ids: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        first, last = int(ids[0]), int(ids[-1])
        if len(ids) * SPARSE < last + 1 - first:
            return ids, self._planner.rows(ids, self._like), None
        rows = self._table(last + 1)[first:]  # too many to be moved
        return ids, rows, None if len(ids) == len(rows) else (ids - first).to(rows.device)

    def _table(self, stop: int) -> Tensor:
        """The first rows of the table in the dtype to compute in; if they have to be cast, all sets share the copy."""
        table = self._planner.table
        if table.dtype != self._like.dtype and len(self._cast) < stop:
            self._cast = table[: max(stop, TEXT_ROWS)].to(self._like.dtype)
        return (table if table.dtype == self._like.dtype else self._cast)[:stop]


@torch.no_grad()
def compose_codes(  # noqa: PLR0913  (a run has that many independent parts)
    planner: Planner,
    prompt_ids: Sequence[int],
    negative_ids: Sequence[int] | None,
    codes: range,
    end: int,
    count: int,
    seeds: Sequence[int],
    choice: Choice,
    listener: Listener = nobody,
    may_stop: bool = False,
    like: Tensor | None = None,
    record: bool = True,
) -> list[Tensor]:
    """`count` code numbers for each seed, fewer where an item `may_stop` and does: int64 [n] on the CPU.

    codes: the ids of the codes; end: the id that ends an item, which keeps its place in the batch until all are done.
    """
    if not seeds:
        raise InvalidInputError("There is no seed.", "Give one seed per song.")
    like = weight_of(planner) if like is None else like
    reader = Reader(planner, prompts_of(prompt_ids, negative_ids, choice), len(seeds), count, like, record)
    heads = [planner.rows(slice(codes.start, codes.stop), like)]
    if may_stop:
        heads.append(planner.rows(slice(end, end + 1), like))
    columns, lengths = list[Tensor](), [count] * len(seeds)
    for column in islice(chosen_columns(reader, heads, codes.start, end, choice, seeds), count):
        columns.append(column.cpu())  # the one wait for the device
        refuse_broken(columns[-1].tolist())
        if may_stop:
            ended = columns[-1] == len(codes)
            lengths = [
                min(n, len(columns) - 1) if over else n for n, over in zip(lengths, ended, strict=True)
            ]
        listener(len(columns), count)
        if max(lengths) < len(columns):
            break
    table = torch.stack(columns, 1) if columns else torch.zeros(len(seeds), 0, dtype=torch.int64)
    return [row[:n] for row, n in zip(table, lengths, strict=True)]


def chosen_columns(
    reader: Reader, heads: Sequence[Tensor], first: int, end: int, choice: Choice, seeds: Sequence[int]
) -> Iterator[Tensor]:
    """The next code number of every item [I], for ever; a number past the codes is the end, which never comes first.

    heads: output rows of the codes, and of the end where there may be one. first: the token of code 0.
    """
    dice, rows = Dice(seeds), len(seeds)
    written = torch.zeros(rows, sum(map(len, heads)), dtype=torch.bool, device=reader.hidden.device)
    for step in counted():
        scores = guided(torch.cat([F.linear(reader.hidden, head) for head in heads], -1), rows, choice.cfg)
        if choice.penalty != 1:
            scores = penalised(scores, written, choice.penalty)
        column = choose(scores if step else scores[:, : len(heads[0])], choice, dice.roll(scores))
        written.scatter_(1, column[:, None], True)
        yield sound(column, scores)
        reader.read(torch.where(column < len(heads[0]), first + column, end)[:, None])


def prompts_of(
    prompt_ids: Sequence[int], negative_ids: Sequence[int] | None, choice: Choice
) -> list[Sequence[int]]:
    """The prompts that are read: without guidance the negative one is not."""
    prompts = [prompt_ids] if negative_ids is None or choice.cfg == 1 else [prompt_ids, negative_ids]
    if not all(len(ids) for ids in prompts):
        raise InvalidInputError("A prompt of the planner is empty.", "Write a caption.")
    return prompts


def weight_of(planner: Planner) -> Tensor:
    """A weight that shows where a planner lies and in what dtype."""
    return planner.norm.weight
