"""What token may come next: forced field names, trees of values, and free text within bounds.

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
from .chain_of_thought import Thought, one_line
from .chats import THINK, THINK_END, TURN_END

CAPTION_TOKENS = 512
GENRE_TOKENS = 64
LENGTHS = 8  # how many trees of durations are kept
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
class ChoicePoint:
    """A state in which there is a choice; told from others by being another object."""

    allowed: Tensor  # token ids, int64, rising
    greedy: bool = False  # whether the likeliest of them is taken instead of a sampled one


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """A choice inside a value, and where each token leads from there; None leads out of the value."""

    point: ChoicePoint
    following: Mapping[int, "Node | None"]


Forced = tuple[int, ...]
Cut = tuple[str, ...]  # names of the parts that were ended because they grew too long
Script = Generator[
    Forced | ChoicePoint, int, Cut
]  # yields what comes, is sent the token taken at a ChoicePoint


class Walk:
    """One text as it grows: ask `forced` first, where that is empty `choice`, and tell every token to `take`."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.cut: Cut = ()  # known when the text is complete
        self.pending: deque[int] = deque()
        self.point: ChoicePoint | None = None
        self.go_on(None)

    def go_on(self, token: int | None) -> None:
        """Run to the next choice, and remember what is forced before it."""
        try:
            step = next(self.script) if token is None else self.script.send(token)
            while isinstance(step, tuple):
                self.pending += step
                step = next(self.script)
            self.point = step
        except StopIteration as end:
            self.point, self.cut = None, end.value

    def forced(self) -> Forced:
        """Tokens that come now, whatever the network says."""
        return tuple(self.pending)

    def choice(self) -> ChoicePoint:
        """The choice to be made next; the same object whenever the grammar is in the same state."""
        assert self.point is not None, "there is nothing to choose at the end of a text"
        assert not self.pending, "there is nothing to choose where a token is forced"
        return self.point

    @property
    def done(self) -> bool:
        """Whether the text is complete."""
        return not self.pending and self.point is None

    def take(self, token: int) -> None:
        """Go on by one token."""
        if self.pending:
            assert token == self.pending[0], f"token {token} stands where {self.pending[0]} is forced"
            self.pending.popleft()
        else:
            self.go_on(token)


class Grammar:
    """Everything about a tokenizer's vocabulary that walks need; built once for a planner and shared by all of them."""

    def __init__(self, tokenizer: TextTokenizer) -> None:
        self.tokenizer = tokenizer
        (self.newline,) = tokenizer.ids("\n")
        self.names = {name: self.single_tokens(f"{name}:") for name in FIELDS}
        self.think = tokenizer.special(THINK.name)
        self.think_end = tokenizer.special(THINK_END.name)
        self.ends = frozenset((tokenizer.special(TURN_END.name), tokenizer.special(END_OF_TEXT.name)))
        self.trees = {name: self.tree(values, name == "language") for name, values in VALUES.items()}
        self.duration_tree = lru_cache(LENGTHS)(self.durations)
        self.line_starts: dict[int, ChoicePoint] = {}

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
            branch = root
            for token in self.value_tokens(value):
                branch = branch.setdefault(token, {})
        return node_of(root, greedy)

    def tree_of(self, name: str, longest: int) -> Node:
        """The values of a field; durations reach up to `longest` seconds."""
        return self.duration_tree(longest) if name == "duration" else self.trees[name]

    def durations(self, longest: int) -> Node:
        """Whole seconds."""
        return self.tree(map(str, range(int(MIN_SECONDS), longest + 1)))

    def plan(
        self, fixed: Thought, write_caption: bool, choose_language: bool, longest: int = int(MAX_SECONDS)
    ) -> Walk:
        """A chain of thought, up to where its closing tag would come. A fixed field comes out as it is."""
        wanted = {"genres": False, "caption": write_caption, "language": choose_language}
        return Walk(self.think_script(fixed, [name for name in FIELDS if wanted.get(name, True)], longest))

    def description(self, fixed: Thought, lyric_tokens: int, longest: int = int(MAX_SECONDS)) -> Walk:
        """A whole chain of thought and then at most so many tokens of lyrics; 0: it ends with the thought."""
        return Walk(self.description_script(fixed, lyric_tokens, longest))

    def description_script(self, fixed: Thought, lyric_tokens: int, longest: int) -> Script:
        """The steps of `description`."""
        cut = yield from self.think_script(fixed, FIELDS, longest)
        if not lyric_tokens:
            return cut
        yield (self.think_end,)
        for _ in range(lyric_tokens):
            if (yield self.text.free_text) in self.ends:
                return cut
        return (*cut, "lyrics")

    def think_script(self, fixed: Thought, names: Sequence[str], longest: int) -> Script:
        """The opening tag, then the fields of these names one by one."""
        yield (self.think, self.newline)
        given, cut = fixed.yaml_fields(), ()
        named = False  # a caption's end brings the next field's name with it
        for name, after in pairwise((*names, "")):
            if not named:
                yield self.names[name]
            named = False
            if name in given:
                yield self.value_tokens(given[name])
            elif name == "caption":
                cut += yield from self.caption_script(self.names[after])
                named = True
            elif name == "genres":
                cut += yield from self.genres_script()
            else:
                cut += yield from value_script(self.tree_of(name, longest))
        return cut

    def caption_script(self, name_after: Forced) -> Script:
        """Lines of text, the second and later ones indented; ends with the next field's name."""
        point, at_line_start = self.text.caption_opening, False
        for _ in range(CAPTION_TOKENS):
            token = yield self.line_start(name_after[0]) if at_line_start else point
            if at_line_start and token == name_after[0]:
                yield name_after[1:]
                return ()
            point, at_line_start = self.text.caption, token in self.text.line_ends
        yield name_after if at_line_start else (self.newline, *name_after)
        return ("caption",)

    def line_start(self, way_out: int) -> ChoicePoint:
        """After a line end: the caption goes on indented, or ends with the next field's first token."""
        if way_out not in self.line_starts:
            self.line_starts[way_out] = choice_among({*self.text.indents, way_out}, greedy=True)
        return self.line_starts[way_out]

    def genres_script(self) -> Script:
        """One line that is not empty."""
        point = self.text.genres_opening
        for _ in range(GENRE_TOKENS):
            if (yield point) == self.newline:
                return ()
            point = self.text.genres
        yield (self.newline,)
        return ("genres",)


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
        self.caption = choice_among(in_captions)
        self.caption_opening = choice_among(in_captions.keys() - self.line_ends)
        self.genres = choice_among({*in_lines, newline})
        self.genres_opening = choice_among(in_lines)
        self.free_text = choice_among({*texts, *ends})


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
            token = yield node.point
        node = node.following[token]
    return ()


def choice_among(tokens: Iterable[int], greedy: bool = False) -> ChoicePoint:
    """A new state in which one of these tokens comes."""
    return ChoicePoint(torch.tensor(sorted(tokens)), greedy)


def node_of(branches: Mapping[int, Any], greedy: bool) -> Node:
    """Nested dictionaries as a tree."""
    following = {token: node_of(after, False) if after else None for token, after in branches.items()}
    return Node(choice_among(branches, greedy), following)
