"""What the planner may write next: forced field names, trees of values, and free text within bounds.

A walk follows one text. Beside the official state machine stand these deliberate differences:
- A caption's end is one choice between going on (indented) and the next field's first token, so that fields keep
  their order; officially anything up to a colon may be written there, which can skip fields or break the text.
- Within captions, genres and lyrics no special token is allowed (officially: no audio code), for one would end the
  text or open a turn; lyrics may end. A caption says at least something before it ends.
- Genres are one line of free text of at most 64 tokens, instead of an entry of a large list.
- A plan ends where the closing tag would begin, without a forced end token.
- A token in which text follows a line end is not allowed in a caption; officially the line would go on unseen.
"""

from collections import deque
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from ..text.prompts import BPM_RANGE, END_OF_TEXT, KEYS, LANGUAGES, MIN_SECONDS, TIME_SIGNATURES
from ..text.tokenizer import TextTokenizer
from ..timebase import MAX_SECONDS
from .chain_of_thought import Thought, one_line, yaml_value
from .chats import THINK, THINK_END, TURN_END

CAPTION_TOKENS = 512
GENRE_TOKENS = 64
LENGTHS, TOKENIZERS = 8, 1  # how many trees of durations, and how many grammars, are kept
FIELD_TOKENS = 128  # more than all names, short values and tags together ever take
FIELDS = ("bpm", "caption", "duration", "genres", "keyscale", "language", "timesignature")
VALUES: Mapping[str, Sequence[str]] = MappingProxyType(
    {
        "bpm": [str(bpm) for bpm in range(BPM_RANGE[0], BPM_RANGE[1] + 1)],
        "keyscale": KEYS,
        "language": LANGUAGES,
        "timesignature": TIME_SIGNATURES,
    }
)


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """A place where the planner decides among the allowed token ids, by drawing or, if greedy, by the best."""

    allowed: Tensor  # int64, rising
    greedy: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """A place inside a value, and where each token leads from there; None leads out of the value."""

    place: Place
    following: Mapping[int, "Node | None"]


Forced = tuple[int, ...]
Script = Generator[Forced | Place, int, None]  # yields what comes, is sent the token chosen at a Place


class Walk:
    """One text as it is written: ask `forced` first, then `allowed` and `greedy`, and tell every token to `take`."""

    def __init__(self, script: Script, cut: list[str]) -> None:
        self.script = script
        self.cut = cut  # names of the parts that were ended because they grew too long
        self.pending: deque[int] = deque()
        self.place: Place | None = None
        self.go_on(None)

    def go_on(self, token: int | None) -> None:
        """Run to the next choice, and remember what is forced before it."""
        try:
            step = next(self.script) if token is None else self.script.send(token)
            while isinstance(step, tuple):
                self.pending += step
                step = next(self.script)
            self.place = step
        except StopIteration:
            self.place = None

    def forced(self) -> Forced:
        """Tokens that come now, whatever the network says."""
        return tuple(self.pending)

    def allowed(self) -> Tensor:
        """Token ids to choose from; the same object whenever the grammar is at the same place."""
        return self.due.allowed

    @property
    def due(self) -> Place:
        """The choice to be made next."""
        if self.pending or self.place is None:
            raise ValueError("There is nothing to choose here.")
        return self.place

    @property
    def greedy(self) -> bool:
        """Whether the best token is to be taken here, instead of a drawn one."""
        return self.due.greedy

    @property
    def done(self) -> bool:
        """Whether the text is complete."""
        return not self.pending and self.place is None

    def take(self, token: int) -> None:
        """Go on by one token."""
        if self.pending:
            if token != self.pending[0]:
                raise ValueError(f"Token {token} stands where {self.pending[0]} is forced.")
            self.pending.popleft()
        else:
            self.go_on(token)


class Grammar:
    """Everything about a tokenizer's vocabulary that walks need; built once and shared by all of them."""

    def __init__(self, tokenizer: TextTokenizer) -> None:
        self.tokenizer = tokenizer
        (self.newline,) = tokenizer.ids("\n")
        self.names = {name: self.single_tokens(f"{name}:") for name in FIELDS}
        self.think = tokenizer.special(THINK.name)
        self.think_end = tokenizer.special(THINK_END.name)
        self.ends = frozenset((tokenizer.special(TURN_END.name), tokenizer.special(END_OF_TEXT.name)))
        self.trees = {name: self.tree(values, name == "language") for name, values in VALUES.items()}
        self.duration_tree = lru_cache(LENGTHS)(self.durations)
        self.line_starts: dict[int, Place] = {}

    @cached_property
    def text(self) -> "TextTokens":
        """The tokens of free text; a plan without a caption never needs them."""
        return TextTokens(self.tokenizer, self.newline, self.ends)

    def single_tokens(self, text: str) -> Forced:
        """Forced text: always the longest beginning of what remains that is one token, as the planner was led."""
        found: list[int] = []
        while text:
            ends = range(len(text), 0, -1)
            token, end = next(
                (ids[0], end) for end in ends if len(ids := self.tokenizer.ids(text[:end])) == 1
            )
            found.append(token)
            text = text[end:]
        return tuple(found)

    def value_tokens(self, value: str | int) -> Forced:
        """A field's value with the space before and the line end behind it."""
        return tuple(self.tokenizer.ids(f" {one_line(str(value))}\n"))

    def tree(self, values: Iterable[str], greedy: bool = False) -> Node:
        """All spellings of a field's values; greedy: the first token is not drawn."""
        root: dict[int, Any] = {}
        for value in values:
            place = root
            for token in self.value_tokens(value):
                place = place.setdefault(token, {})
        return planted(root, greedy)

    def tree_of(self, name: str, longest: int) -> Node:
        """The values of a field; durations reach up to `longest` seconds."""
        return self.duration_tree(longest) if name == "duration" else self.trees[name]

    def durations(self, longest: int) -> Node:
        """Whole seconds."""
        return self.tree(map(str, range(int(MIN_SECONDS), longest + 1)))

    def plan(self, fixed: Thought, caption: bool, language: bool, longest: int = int(MAX_SECONDS)) -> Walk:
        """A chain of thought, up to where its closing tag would come. A fixed field comes out as it is."""
        removed = {"genres", *(() if caption else ("caption",)), *(() if language else ("language",))}
        cut: list[str] = []
        return Walk(self.think_script(fixed, removed, longest, cut), cut)

    def description(self, fixed: Thought, words: int, longest: int = int(MAX_SECONDS)) -> Walk:
        """A whole chain of thought and then at most `words` tokens of lyrics; 0: it ends with the thought."""
        cut: list[str] = []
        return Walk(self.description_script(fixed, words, longest, cut), cut)

    def description_script(self, fixed: Thought, words: int, longest: int, cut: list[str]) -> Script:
        """The steps of `description`."""
        yield from self.think_script(fixed, set(), longest, cut)
        if not words:
            return
        yield (self.think_end,)
        for _ in range(words):
            if (yield self.text.words) in self.ends:
                return
        cut.append("lyrics")

    def think_script(self, fixed: Thought, removed: set[str], longest: int, cut: list[str]) -> Script:
        """The opening tag, then the fields one by one."""
        yield (self.think, self.newline)
        given = {name: yaml_value(name, value) for name, value in fixed.items().items()}
        names = [name for name in FIELDS if name not in removed]
        named = False  # a caption's end brings the next field's name with it
        for name, after in pairwise((*names, "")):
            if not named:
                yield self.names[name]
            named = False
            if name in given:
                yield self.value_tokens(given[name])
            elif name == "caption":
                yield from self.caption_script(self.names[after], cut)
                named = True
            elif name == "genres":
                yield from self.genres_script(cut)
            else:
                yield from value_script(self.tree_of(name, longest))

    def caption_script(self, name_after: Forced, cut: list[str]) -> Script:
        """Lines of text, the second and later ones indented; ends with the next field's name."""
        place, at_line_start = self.text.caption_opening, False
        for _ in range(CAPTION_TOKENS):
            token = yield self.line_start(name_after[0]) if at_line_start else place
            if at_line_start and token == name_after[0]:
                yield name_after[1:]
                return
            place, at_line_start = self.text.caption, token in self.text.line_ends
        cut.append("caption")
        yield name_after if at_line_start else (self.newline, *name_after)

    def line_start(self, way_out: int) -> Place:
        """After a line end: the caption goes on indented, or ends with the next field's first token."""
        if way_out not in self.line_starts:
            self.line_starts[way_out] = place_of({*self.text.indents, way_out}, greedy=True)
        return self.line_starts[way_out]

    def genres_script(self, cut: list[str]) -> Script:
        """One line that is not empty."""
        place = self.text.genres_opening
        for _ in range(GENRE_TOKENS):
            if (yield place) == self.newline:
                return
            place = self.text.genres
        cut.append("genres")
        yield (self.newline,)


grammar_of = lru_cache(TOKENIZERS)(Grammar)  # the one of a tokenizer


class TextTokens:
    """The ordinary tokens of a vocabulary, sorted by what they may be used for."""

    def __init__(self, tokenizer: TextTokenizer, newline: int, ends: Iterable[int]) -> None:
        ids = sorted({*tokenizer.bpe.get_vocab().values()} - {*tokenizer.special_ids.values()})
        texts = tokenizer.bpe.decode_batch([[token] for token in ids])
        texts = dict(zip(ids, texts, strict=True))
        in_lines = {token: text for token, text in texts.items() if "\n" not in text and "\r" not in text}
        in_captions = {token: text for token, text in texts.items() if fits_caption(text)}

        self.line_ends = frozenset(token for token, text in in_captions.items() if text.endswith("\n"))
        self.indents = [token for token, text in in_captions.items() if text.startswith((" ", "\t"))]
        self.caption = place_of(in_captions)
        self.caption_opening = place_of(in_captions.keys() - self.line_ends)
        self.genres = place_of({*in_lines, newline})
        self.genres_opening = place_of(in_lines)
        self.words = place_of({*texts, *ends})


def fits_caption(text: str) -> bool:
    """Whether a token may stand in a caption: no backtick, and no line in it that is begun without indentation."""
    _, *begun = text.split("\n")
    ended = [line for line in begun[:-1] if line.strip()] + begun[-1:]
    return "`" not in text and all(line.startswith((" ", "\t")) for line in ended if line)


def value_script(node: Node | None) -> Script:
    """A value out of a tree; where there is one way, it is forced."""
    while node is not None:
        token = next(iter(node.following))
        if len(node.following) == 1:
            yield (token,)
        else:
            token = yield node.place
        node = node.following[token]


def place_of(tokens: Iterable[int], greedy: bool = False) -> Place:
    """A place where one of these tokens comes."""
    return Place(torch.tensor(sorted(tokens)), greedy)


def planted(branches: Mapping[int, Any], greedy: bool) -> Node:
    """Nested dictionaries as a tree."""
    following = {token: planted(after, False) if after else None for token, after in branches.items()}
    return Node(place_of(branches, greedy), following)
