"""A planner with its tokenizer and grammar: what it is asked, what it answers, and how that is told to a musician."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from torch import Tensor

from ..errors import InvalidInputError
from ..text.prompts import Brief, check_text
from ..text.tokenizer import TextTokenizer
from .chain_of_thought import Thought, read_fields, without_heading
from .chats import TURN_END
from .generation import Listener, nobody, prompts_of, write_text
from .grammar import CAPTION_TOKENS, FIELD_TOKENS, GENRE_TOKENS, Grammar, Walk, grammar_of
from .network import Planner
from .token_sampling import Choice

CONTEXT = 4096  # tokens that a planner was made to read and write in one text
RESERVE = 64  # of them stay unused
DESCRIPTION_TOKENS = FIELD_TOKENS + CAPTION_TOKENS + GENRE_TOKENS  # of a whole chain of thought
CUTS = {
    "caption": f"The caption had reached {CAPTION_TOKENS} tokens and was ended there.",
    "genres": f"The genres had reached {GENRE_TOKENS} tokens and were ended there.",
    "lyrics": "The lyrics had used all the room there was and were ended there; the last line may be cut.",
}

Report = tuple[str, ...]  # lines for the musician
Wake = Callable[[int, int], Tensor | None]  # rows, and tokens in each -> a tensor that lies where to compute


@dataclass(frozen=True, slots=True)
class Scribe:
    """A planner that can read and write."""

    planner: Planner
    tokenizer: TextTokenizer
    grammar: Grammar
    context: int = CONTEXT
    records: bool = True  # whether steps may be recorded and replayed, where a device can

    @classmethod
    def of(cls, planner: Planner, tokenizer: TextTokenizer, records: bool = True) -> "Scribe":
        """With the grammar of this tokenizer, which takes a moment to build and is then kept."""
        return cls(planner, tokenizer, grammar_of(tokenizer), records=records)

    @property
    def usable(self) -> int:
        """Tokens for prompt and answer together."""
        return self.context - RESERVE

    @property
    def code_ids(self) -> range:
        """Token ids of the audio codes."""
        first = self.tokenizer.first_code or 0
        return range(first, first + self.tokenizer.codes)

    @property
    def end(self) -> int:
        """The token that ends a turn, and a song that is over early."""
        return self.tokenizer.special(TURN_END.name)


def as_it_lies(rows: int, tokens: int) -> None:
    """Nothing has to be brought in: the planner computes where its weights are."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How a text is to be written."""

    seed: int = 0
    choice: Choice = field(default_factory=Choice)
    listener: Listener = nobody
    wake: Wake = as_it_lies  # asked right before the work, and not at all where there is none


@dataclass(frozen=True, slots=True)
class Answer:
    """What a planner made of a request."""

    brief: Brief  # the song, ready to be played
    thought: Thought  # what stands before its codes
    report: Report

    @property
    def text(self) -> str:
        """The chain of thought to read, genres included."""
        genres = f"genres: {self.thought.genres}" if self.thought.genres else ""
        return "\n".join(filter(None, (self.thought.to_yaml(), genres)))


@dataclass(frozen=True, slots=True)
class Draft:
    """What a planner wrote, taken apart."""

    thought: Thought
    words: str
    tokens: int


def write(
    scribe: Scribe,
    prompt: Sequence[int],
    negative: Sequence[int] | None,
    walk: Walk,
    manner: Manner,
    room: int,
) -> Draft:
    """Let the planner write at most `room` tokens; without a negative prompt there is no guidance.

    Tags are told from text by their ids, as nothing else is a tag.
    """
    prompts = prompts_of(prompt, negative, manner.choice)
    like = manner.wake(len(prompts), max(map(len, prompts)) + room)
    how = (manner.choice, manner.seed, room, manner.listener, like, scribe.records)
    ids = write_text(scribe.planner, prompt, negative, walk, *how)
    grammar = scribe.grammar
    end = ids.index(grammar.think_end) if grammar.think_end in ids else len(ids)
    inner = [token for token in ids[:end] if token != grammar.think]
    words = [token for token in ids[end + 1 :] if token not in grammar.ends]
    decode = scribe.tokenizer.decode
    return Draft(read_fields(decode(inner).strip("\n")), without_heading(decode(words)), len(ids))


def check_texts(texts: Mapping[str, str]) -> None:
    """Refuse texts that no tokenizer can read."""
    for name, text in texts.items():
        check_text(name, text)


def check_room(used: int, room: int, what: str) -> None:
    """Refuse a prompt that leaves too little room for an answer."""
    if used > room:
        share = math.ceil(100 * (used - room) / used)
        raise InvalidInputError(
            f"The prompt with the {what} is {used} tokens long, and the planner has room for {max(0, room)}.",
            f"Shorten the text by {used - room} tokens, which is about {share} % of it.",
        )


def story(scribe: Scribe, given: Thought, draft: Draft, prompt: int, cut: Sequence[str]) -> Report:
    """What was given, decided and used."""
    return (
        f"Given: {listed(given)}.",
        f"Decided: {listed(draft.thought.besides(given))}.",
        f"Tokens: {prompt} read and {draft.tokens} written, of {scribe.context}.",
        *(CUTS[name] for name in cut),
    )


def listed(thought: Thought) -> str:
    """The fields of a thought in one line; a caption is only mentioned."""
    parts = [name if name == "caption" else f"{name} {value}" for name, value in thought.items().items()]
    return ", ".join(parts) or "nothing"
