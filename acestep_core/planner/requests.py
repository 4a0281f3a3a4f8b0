"""What a planner can do for a musician: plan a song, prepare its codes, understand, inspire and format.

Deliberate differences from the official phases: a richer caption is written even where every figure is given; the
length of codes that are understood is a fact and not guessed; 6/8 is told as 6; a language that is set stands in the thought
that codes are composed by, and Format holds to it; an instrumental that was inspired gets no lyrics; a caption in quotes is
read without them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ..errors import InvalidInputError
from ..interface import Report
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
from .generation import Options, Prompts
from .grammar import CAPTION_TOKENS, FIELD_TOKENS
from .planner import (
    DESCRIPTION_TOKENS,
    Answer,
    Draft,
    Planner,
    check_room,
    check_texts,
    generate,
    in_words,
    report_of,
)
from .token_sampling import SamplingParams

UNKNOWN = "unknown"  # stands in a brief for the language that the planner is about to choose
UNDERSTANDING = SamplingParams(temperature=0.3)


@dataclass(frozen=True, slots=True)
class CodesRequest:
    """All that composing codes needs to know of a song."""

    prompts: Prompts
    count: int  # codes
    thought: Thought
    report: Report


def plan(
    planner: Planner,
    brief: Brief,
    options: Options,
    negative: str = "",
    write_caption: bool = True,
    choose_language: bool = True,
    longest: float = MAX_SECONDS,
) -> Answer:
    """Fill the gaps of a brief. write_caption, choose_language: whether the planner's replace those of the brief."""
    guided = options.params.cfg != 1
    negative = negative if guided else ""  # it is not read
    texts = {"caption": brief.caption, "lyrics": brief.lyrics, "negative prompt": negative}
    check_texts(texts)
    given, told = thought_of(brief), thought_of(brief, with_language=not choose_language)
    if is_whole(given) and not write_caption and not choose_language:
        return Answer(brief, told, ("Everything is given, so the planner was not asked.",))
    chats = plan_prompts(brief.caption, brief.lyrics, negative)
    ids, against = (planner.ids(chat) for chat in chats)
    used = max(len(ids), len(against)) if guided else len(ids)
    longest_thought = FIELD_TOKENS + (CAPTION_TOKENS if write_caption else 0)
    room = planner.usable - longest_thought
    check_room(len(ids), room - codes_of(MIN_SECONDS), "caption and the lyrics")
    check_room(used, room - codes_of(MIN_SECONDS), "negative prompt and the lyrics")
    fitting = max(MIN_SECONDS, min(longest, seconds_of_codes(room - used)))  # codes follow the same text

    walk = planner.grammar.plan(given, write_caption, choose_language, int(fitting))
    draft = generate(planner, Prompts(ids, against), walk, longest_thought, options)
    draft = replace(draft, thought=draft.thought.overruled_by(told))
    planned = completed(brief, draft.thought, write_caption, choose_language)
    remarks = (*injection_remarks(planner.tokenizer, texts), *length_remarks(planner, planned, draft.thought))
    return Answer(planned, draft.thought, (*report_of(planner, told, draft, used, walk.cut), *remarks))


def is_whole(thought: Thought) -> bool:
    """Whether the figures that a plan is for are all there."""
    return None not in (thought.bpm, thought.duration, thought.key, thought.time_signature)


def codes_request(
    planner: Planner,
    brief: Brief,
    thought: Thought | None = None,
    negative: str = "",
    guided: bool = True,
) -> CodesRequest:
    """Prompts and length for composing codes; what the brief says overrules the thought."""
    said = (thought or Thought()).overruled_by(thought_of(brief))
    texts = {"caption": brief.caption, "lyrics": brief.lyrics, "plan": said.caption or ""}
    texts |= {"negative prompt": negative} if guided else {}
    check_texts(texts)
    count = codes_wanted(brief.duration if brief.duration is not None else said.duration)
    chats = composition_prompts(brief.caption, brief.lyrics, said.to_yaml(), negative)
    ids, against = (tuple(planner.ids(chat)) for chat in chats)
    used = max(len(ids), len(against)) if guided else len(ids)
    check_length(
        planner, used, count, "caption, the lyrics or the plan" if used == len(ids) else "negative prompt"
    )
    report = (
        f"Composed by: {in_words(said)}.",
        f"Codes: {count}, which is {seconds_of_codes(count):g} s.",
        f"Tokens: {used} read and {count} to be written, of {planner.context}.",
        *injection_remarks(planner.tokenizer, texts),
    )
    return CodesRequest(Prompts(ids, against), count, said, report)


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


def check_length(planner: Planner, used: int, count: int, what: str) -> None:
    """Refuse a song that the planner would lose sight of."""
    excess = used + count - planner.usable
    if excess > 0:
        fitting = int(seconds_of_codes(max(0, count - excess)))
        shorter = f"the song to {fitting} s, or " if fitting >= MIN_SECONDS else ""
        raise InvalidInputError(
            f"A text of {used} tokens and {count} codes are {excess} more than the planner can hold.",
            f"Shorten {shorter}the {what} by {excess} tokens.",
        )


def understand(planner: Planner, codes: Sequence[int], options: Options | None = None) -> Answer:
    """What a planner hears in audio codes: caption, lyrics and figures; the duration is a fact."""
    song = known_codes(planner, codes)
    seconds = seconds_of_codes(len(song))
    given = Thought(duration=max(1, int(seconds)))
    options = options or Options(UNDERSTANDING)
    draft, report = describe(planner, understand_prompt(song), given, LYRIC_TOKENS, options, {"codes": ""})
    return Answer(
        completed(Brief("", draft.lyrics, UNKNOWN, duration=seconds), draft.thought, True, True),
        draft.thought,
        report,
    )


def known_codes(planner: Planner, codes: Sequence[int]) -> tuple[int, ...]:
    """The codes of a song, if this planner knows them all."""
    song = checked_song(list(codes), "The song")
    if max(song) >= planner.tokenizer.codes:
        raise InvalidInputError(
            f"The song holds code {max(song)}, and this planner knows {planner.tokenizer.codes} codes.",
            "Use codes and a planner of the same model family.",
        )
    return song


def require_wish(wish: str) -> None:
    """Refuse to make up a song out of nothing."""
    if not wish.strip():
        raise InvalidInputError("The wish is empty.", "Say in a few words what you would like to hear.")


def require_words(caption: str, lyrics: str) -> None:
    """Refuse to tidy up nothing."""
    if not caption.strip() and not lyrics.strip():
        raise InvalidInputError(
            "Caption and lyrics are both empty.", "Write at least one of them, or use Inspire."
        )


def inspire(
    planner: Planner,
    wish: str,
    options: Options,
    instrumental: bool = False,
    language: str | None = None,
    given: Thought | None = None,
) -> Answer:
    """A short wish becomes a whole song. language: what is sung in, unless the planner chooses it; given: fields that are fixed."""
    require_wish(wish)
    if language is not None:
        check_choice("language", language, LANGUAGES)
    fixed = replace(given or Thought(), language=language)
    completed(Brief(""), fixed)  # refuses impossible fields before any work
    lyric_tokens = 0 if instrumental else LYRIC_TOKENS
    prompt = inspire_prompt(wish, instrumental)
    draft, report = describe(planner, prompt, fixed, lyric_tokens, options, {"wish": wish})
    lyrics = INSTRUMENTAL if instrumental else draft.lyrics
    brief = completed(Brief("", lyrics, UNKNOWN), draft.thought, True, True)
    silent = () if brief.lyrics else ("No lyrics were written; another seed may write some.",)
    return Answer(brief, draft.thought, (*report, *silent, *length_remarks(planner, brief, draft.thought)))


def format_brief(planner: Planner, brief: Brief, options: Options, choose_language: bool = True) -> Answer:
    """A rough brief in the form that the model likes. choose_language: whether the planner may do so."""
    require_words(brief.caption, brief.lyrics)
    given = thought_of(brief, with_language=not choose_language)
    texts = {"caption": brief.caption, "lyrics": brief.lyrics}
    lyric_tokens = 0 if brief.instrumental else LYRIC_TOKENS
    prompt = format_prompt(brief.caption, brief.lyrics)
    draft, report = describe(planner, prompt, given, lyric_tokens, options, texts)
    kept = replace(brief, lyrics=draft.lyrics or brief.lyrics.strip() or INSTRUMENTAL)
    brief = completed(kept, draft.thought, True, True)
    return Answer(brief, draft.thought, (*report, *length_remarks(planner, brief, draft.thought)))


def length_remarks(planner: Planner, brief: Brief, thought: Thought) -> Report:
    """Whether the song is longer than codes can be composed for beside its texts."""
    prompt, _ = composition_prompts(brief.caption, brief.lyrics, thought.to_yaml())
    room = planner.usable - len(planner.ids(prompt))
    if brief.duration is None or codes_of(brief.duration) <= room:
        return ()
    most = int(seconds_of_codes(max(0, room)))
    return (f"Compose Codes can hold {most} s beside these words, and the song lasts {brief.duration:g} s.",)


def describe(
    planner: Planner,
    prompt: Prompt,
    given: Thought,
    lyric_tokens: int,
    options: Options,
    texts: Mapping[str, str],
) -> tuple[Draft, Report]:
    """A whole chain of thought around the given fields, then lyrics of at most so many tokens; no guidance."""
    check_texts(texts)
    ids = planner.ids(prompt)
    room = planner.usable - DESCRIPTION_TOKENS
    check_room(len(ids), room - 1, " and the ".join(texts))
    lyric_tokens = min(lyric_tokens, room - len(ids))
    walk = planner.grammar.description(given, lyric_tokens)
    draft = generate(planner, Prompts(ids), walk, DESCRIPTION_TOKENS + lyric_tokens, options)
    draft = replace(draft, thought=draft.thought.overruled_by(given))
    return draft, (
        *report_of(planner, given, draft, len(ids), walk.cut),
        *injection_remarks(planner.tokenizer, texts),
    )
