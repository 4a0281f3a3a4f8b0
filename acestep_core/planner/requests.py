"""What a planner can do for a musician: plan a song, prepare its codes, understand, inspire and format.

Deliberate differences from the official phases: a richer caption is written even where every figure is given; the
length of codes that are understood is a fact and not guessed; 6/8 is told as 6; a language that is set stands in the thought
that codes are composed by, and Format holds to it; an instrumental that was inspired gets no words; a caption in quotes is
read without them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ..errors import InvalidInputError
from ..text.code_text import MAX_CODES, checked_song
from ..text.conditions import LYRIC_TOKENS
from ..text.prompts import INSTRUMENTAL, LANGUAGES, MIN_SECONDS, Brief, Prompt, check_choice
from ..timebase import MAX_SECONDS, codes_of, seconds_of_codes
from .chain_of_thought import Thought, completed, thought_of
from .chats import (
    composition_prompts,
    format_prompt,
    injection_remarks,
    inspire_prompt,
    plan_prompts,
    understand_prompt,
)
from .grammar import CAPTION_TOKENS, FIELD_TOKENS
from .planner import (
    DESCRIPTION_TOKENS,
    Answer,
    Draft,
    Manner,
    Report,
    Scribe,
    check_room,
    check_texts,
    listed,
    story,
    write,
)
from .token_sampling import Choice

WORDS = LYRIC_TOKENS  # no more of them are read when the song is played
UNKNOWN = "unknown"  # the language that is none
UNDERSTANDING = Choice(temperature=0.3)


@dataclass(frozen=True, slots=True)
class Composition:
    """All that composing codes needs to know of a song."""

    prompt: tuple[int, ...]
    negative: tuple[int, ...]
    count: int  # codes
    thought: Thought
    report: Report


def plan(
    scribe: Scribe,
    brief: Brief,
    manner: Manner,
    negative: str = "",
    caption: bool = True,
    language: bool = True,
    longest: float = MAX_SECONDS,
) -> Answer:
    """Fill the gaps of a brief. caption, language: whether the planner's replace those of the brief."""
    negative = negative if manner.choice.cfg != 1 else ""  # without guidance it is not read
    texts = {"caption": brief.caption, "lyrics": brief.lyrics, "negative prompt": negative}
    check_texts(texts)
    given, told = thought_of(brief), thought_of(brief, language=not language)
    if is_whole(given) and not caption and not language:
        return Answer(brief, told, ("Everything is given, so the planner was not asked.",))
    prompts = plan_prompts(brief.caption, brief.lyrics, negative)
    ids, against = (scribe.tokenizer.ids(prompt) for prompt in prompts)
    against = ids if manner.choice.cfg == 1 else against
    used = max(len(ids), len(against))
    longest_thought = FIELD_TOKENS + (CAPTION_TOKENS if caption else 0)
    room = scribe.usable - longest_thought
    check_room(len(ids), room - codes_of(MIN_SECONDS), "caption and the lyrics")
    check_room(len(against), room - codes_of(MIN_SECONDS), "negative prompt and the lyrics")
    fitting = max(MIN_SECONDS, min(longest, seconds_of_codes(room - used)))  # codes follow the same text

    walk = scribe.grammar.plan(given, caption, language, int(fitting))
    draft = write(scribe, ids, against, walk, manner, longest_thought)
    draft = replace(draft, thought=draft.thought.overruled_by(told))
    planned = completed(brief, draft.thought, caption, language)
    remarks = (*injection_remarks(scribe.tokenizer, texts), *length_remarks(scribe, planned, draft.thought))
    return Answer(planned, draft.thought, (*story(scribe, told, draft, used, walk.cut), *remarks))


def is_whole(thought: Thought) -> bool:
    """Whether the figures that a plan is for are all there."""
    return None not in (thought.bpm, thought.duration, thought.keyscale, thought.timesignature)


def compose(
    scribe: Scribe,
    brief: Brief,
    thought: Thought | None = None,
    negative: str = "",
    guided: bool = True,
) -> Composition:
    """Prompts and length for composing codes; what the brief says overrules the thought."""
    said = (thought or Thought()).overruled_by(thought_of(brief))
    texts = {"caption": brief.caption, "lyrics": brief.lyrics, "plan": said.caption or ""}
    texts |= {"negative prompt": negative} if guided else {}
    check_texts(texts)
    count = codes_wanted(brief.duration if brief.duration is not None else said.duration)
    prompts = composition_prompts(brief.caption, brief.lyrics, said.to_yaml(), negative)
    ids, against = (tuple(scribe.tokenizer.ids(prompt)) for prompt in prompts)
    used = max(len(ids), len(against)) if guided else len(ids)
    check_length(
        scribe, used, count, "caption, the lyrics or the plan" if used == len(ids) else "negative prompt"
    )
    report = (
        f"Composed by: {listed(said)}.",
        f"Codes: {count}, which is {seconds_of_codes(count):g} s.",
        f"Tokens: {used} read and {count} to be written, of {scribe.context}.",
        *injection_remarks(scribe.tokenizer, texts),
    )
    return Composition(ids, against, count, said, report)


def codes_wanted(seconds: float | None) -> int:
    """How many codes a song of this length has."""
    if seconds is None:
        raise InvalidInputError(
            "Nobody said how long the song is.", "Set a duration, or connect a Plan, which chooses one."
        )
    count = codes_of(seconds)
    if not 1 <= count <= MAX_CODES:
        raise InvalidInputError(
            f"A song of {seconds:g} s is {count} codes long, and 1 to {MAX_CODES} can be composed.",
            f"Choose a duration up to {MAX_SECONDS:g} s.",
        )
    return count


def check_length(scribe: Scribe, used: int, count: int, what: str) -> None:
    """Refuse a song that the planner would lose sight of."""
    excess = used + count - scribe.usable
    if excess > 0:
        fitting = int(seconds_of_codes(max(0, count - excess)))
        shorter = f"the song to {fitting} s, or " if fitting >= MIN_SECONDS else ""
        raise InvalidInputError(
            f"A text of {used} tokens and {count} codes are {excess} more than the planner can hold.",
            f"Shorten {shorter}the {what} by {excess} tokens.",
        )


def understand(scribe: Scribe, codes: Sequence[int], manner: Manner | None = None) -> Answer:
    """What a planner hears in audio codes: caption, lyrics and figures; the duration is a fact."""
    song = checked_song(list(codes), "The song")
    if max(song) >= scribe.tokenizer.codes:
        raise InvalidInputError(
            f"The song holds code {max(song)}, and this planner knows {scribe.tokenizer.codes} codes.",
            "Use codes and a planner of the same model family.",
        )
    seconds = seconds_of_codes(len(song))
    given = Thought(duration=max(1, int(seconds)))
    manner = manner or Manner(choice=UNDERSTANDING)
    draft, report = describe(scribe, understand_prompt(song), given, WORDS, manner, {"codes": ""})
    return Answer(
        completed(Brief("", draft.words, UNKNOWN, duration=seconds), draft.thought, True, True),
        draft.thought,
        report,
    )


def inspire(
    scribe: Scribe,
    wish: str,
    manner: Manner,
    instrumental: bool = False,
    language: str | None = None,
    given: Thought | None = None,
) -> Answer:
    """A short wish becomes a whole song. language: what is sung in, unless the planner chooses it; given: fields that are fixed."""
    if not wish.strip():
        raise InvalidInputError("The wish is empty.", "Say in a few words what you would like to hear.")
    if language is not None:
        check_choice("language", language, LANGUAGES)
    fixed = replace(given or Thought(), language=language)
    completed(Brief(""), fixed)  # refuses impossible fields before any work
    words = 0 if instrumental else WORDS
    draft, report = describe(scribe, inspire_prompt(wish, instrumental), fixed, words, manner, {"wish": wish})
    lyrics = INSTRUMENTAL if instrumental else draft.words
    brief = completed(Brief("", lyrics, UNKNOWN), draft.thought, True, True)
    silent = () if brief.lyrics else ("No lyrics were written; another seed may write some.",)
    return Answer(brief, draft.thought, (*report, *silent, *length_remarks(scribe, brief, draft.thought)))


def format_brief(scribe: Scribe, brief: Brief, manner: Manner, language: bool = True) -> Answer:
    """A rough brief in the form that the model likes. language: whether the planner may choose it."""
    if not brief.caption.strip() and not brief.lyrics.strip():
        raise InvalidInputError(
            "Caption and lyrics are both empty.", "Write at least one of them, or use Inspire."
        )
    given = thought_of(brief, language=not language)
    texts = {"caption": brief.caption, "lyrics": brief.lyrics}
    prompt = format_prompt(brief.caption, brief.lyrics)
    draft, report = describe(scribe, prompt, given, 0 if brief.instrumental else WORDS, manner, texts)
    kept = replace(brief, lyrics=draft.words or brief.lyrics.strip() or INSTRUMENTAL)
    brief = completed(kept, draft.thought, True, True)
    return Answer(brief, draft.thought, (*report, *length_remarks(scribe, brief, draft.thought)))


def length_remarks(scribe: Scribe, brief: Brief, thought: Thought) -> Report:
    """Whether the song is longer than codes can be composed for beside its words."""
    prompt, _ = composition_prompts(brief.caption, brief.lyrics, thought.to_yaml())
    room = scribe.usable - len(scribe.tokenizer.ids(prompt))
    if brief.duration is None or codes_of(brief.duration) <= room:
        return ()
    most = int(seconds_of_codes(max(0, room)))
    return (f"Compose Codes can hold {most} s beside these words, and the song lasts {brief.duration:g} s.",)


def describe(
    scribe: Scribe, prompt: Prompt, given: Thought, words: int, manner: Manner, texts: Mapping[str, str]
) -> tuple[Draft, Report]:
    """A whole chain of thought around the given fields, then up to `words` tokens of lyrics; no guidance."""
    check_texts(texts)
    ids = scribe.tokenizer.ids(prompt)
    room = scribe.usable - DESCRIPTION_TOKENS
    check_room(len(ids), room - 1, " and the ".join(texts))
    words = min(words, room - len(ids))
    walk = scribe.grammar.description(given, words)
    draft = write(scribe, ids, None, walk, manner, DESCRIPTION_TOKENS + words)
    draft = replace(draft, thought=draft.thought.overruled_by(given))
    return draft, (
        *story(scribe, given, draft, len(ids), walk.cut),
        *injection_remarks(scribe.tokenizer, texts),
    )
