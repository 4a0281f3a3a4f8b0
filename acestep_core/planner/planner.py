"""A planner with its tokenizer and grammar: what it is asked, what it answers, and how that is told to a musician."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..errors import InvalidInputError
from ..interface import Report
from ..text.prompts import Brief, Prompt, check_text
from ..text.tokenizer import TextTokenizer
from .chain_of_thought import Thought, read_fields, without_heading, yaml_name
from .chats import TURN_END
from .generation import CodeTokens, Options, Prompts, generate_text
from .grammar import CAPTION_TOKENS, FIELD_TOKENS, GENRE_TOKENS, Grammar, Walk
from .network import PlannerNetwork

CONTEXT = 4096  # tokens that a planner was made to read and write in one text
RESERVE = 64  # of them stay unused
COUNTED = 1 << 20  # tokens of a prompt that is too long are counted, unless they are hopelessly many
DESCRIPTION_TOKENS = FIELD_TOKENS + CAPTION_TOKENS + GENRE_TOKENS  # of a whole chain of thought
CUTS = {
    "caption": f"The caption had reached {CAPTION_TOKENS} tokens and was ended there.",
    "genres": f"The genres had reached {GENRE_TOKENS} tokens and were ended there.",
    "lyrics": "The lyrics had used all the room there was and were ended there; the last line may be cut.",
}


@dataclass(frozen=True, slots=True)
class Planner:
    """The network and what it takes to ask it."""

    network: PlannerNetwork
    tokenizer: TextTokenizer
    grammar: Grammar
    context: int = CONTEXT

    @classmethod
    def of(cls, network: PlannerNetwork, tokenizer: TextTokenizer) -> "Planner":
        """With the grammar of this tokenizer, which takes a moment to build."""
        return cls(network, tokenizer, Grammar(tokenizer))

    @property
    def usable(self) -> int:
        """Tokens for prompt and answer together."""
        return self.context - RESERVE

    def ids(self, prompt: Prompt) -> list[int]:
        """The tokens of a prompt; one that is far too long is refused before all of it is tokenised."""
        ids, more = self.tokenizer.first_ids(prompt, COUNTED)
        if more:
            raise InvalidInputError(
                f"The text for the planner is far too long; it has room for {self.usable} tokens.",
                "Shorten the caption, the lyrics or what else is long.",
            )
        return ids

    def code_tokens(self, may_end_early: bool = False) -> CodeTokens:
        """The audio codes, and with them the token that ends a turn where a song may be over early."""
        first = self.tokenizer.first_code or 0
        end = self.tokenizer.special(TURN_END.name) if may_end_early else None
        return CodeTokens(range(first, first + self.tokenizer.codes), end)


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
    """What a planner generated, taken apart."""

    thought: Thought
    lyrics: str
    tokens: int


def generate(planner: Planner, prompts: Prompts, walk: Walk, limit: int, options: Options) -> Draft:
    """A text of at most `limit` tokens. Tags are told from text by their ids, as nothing else is a tag."""
    ids = generate_text(planner.network, prompts, walk, limit, options)
    grammar, decode = planner.grammar, planner.tokenizer.decode
    end = ids.index(grammar.think_end) if grammar.think_end in ids else len(ids)
    inner = [token for token in ids[:end] if token != grammar.think]
    lyrics = [token for token in ids[end + 1 :] if token not in grammar.ends]
    return Draft(read_fields(decode(inner).strip("\n")), without_heading(decode(lyrics)), len(ids))


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


def report_of(planner: Planner, given: Thought, draft: Draft, prompt: int, cut: Sequence[str]) -> Report:
    """What was given, decided and used. prompt: tokens of the longer one; cut: parts that grew too long."""
    return (
        f"Given: {in_words(given)}.",
        f"Decided: {in_words(draft.thought.without(given))}.",
        f"Tokens: {prompt} read and {draft.tokens} written, of {planner.context}.",
        *(CUTS[name] for name in cut),
    )


def in_words(thought: Thought) -> str:
    """The fields of a thought in one line, by the names that its text shows; a caption is only mentioned."""
    fields = thought.as_dict().items()
    return ", ".join(n if n == "caption" else f"{yaml_name(n)} {value}" for n, value in fields) or "nothing"
