"""What the planner reads: the chats that it was taught, with everything a musician wrote as plain text inside."""

from collections.abc import Mapping, Sequence

from ..text.prompts import INSTRUMENTAL, Prompt, Special
from ..text.tasks import COVER_INSTRUCTION
from ..text.tokenizer import TextTokenizer

GENERATE = COVER_INSTRUCTION  # the planner obeys the same words as the transformer
UNDERSTAND = "Understand the given musical conditions and describe the audio semantics accordingly:"
INSPIRE = "Expand the user's input into a more detailed and specific musical description:"
FORMAT = "Format the user's input into a more detailed and specific musical description:"
NOTHING_SAID = "NO USER INPUT"

TURN = Special("<|im_start|>")
TURN_END = Special("<|im_end|>")
THINK = Special("<think>")
THINK_END = Special("</think>")
HEADINGS = ("# instruction", "# caption", "# lyric", "# metas", "# languages")  # in lower case


def code_piece(code: int) -> Special:
    """The token of one audio code."""
    return Special(f"<|audio_code_{code}|>")


def opened(instruction: str, wish: str, codes: Sequence[int] = ()) -> Prompt:
    """A chat whose next token is the planner's first; text and codes are what the user says."""
    return Prompt(
        (
            *(TURN, f"system\n# Instruction\n{instruction}\n\n", TURN_END, "\n"),
            *(TURN, f"user\n{wish}", *(code_piece(code) for code in codes), TURN_END, "\n"),
            *(TURN, "assistant\n"),
        )
    )


def song_text(caption: str, lyrics: str) -> str:
    """Caption and lyrics under their headings."""
    return f"# Caption\n{caption}\n\n# Lyric\n{lyrics}\n"


def is_meaningful(negative: str) -> bool:
    """Whether a negative prompt says anything."""
    return negative.strip() not in ("", NOTHING_SAID)


def plan_prompts(caption: str, lyrics: str, negative: str = "") -> tuple[Prompt, Prompt]:
    """First phase, in which the planner thinks about the song: with the caption, and guiding away from without."""
    without = song_text(negative, lyrics) if is_meaningful(negative) else f"# Lyric\n{lyrics}\n"
    return opened(GENERATE, song_text(caption, lyrics)), opened(GENERATE, without)


def composition_prompts(caption: str, lyrics: str, thought: str, negative: str = "") -> tuple[Prompt, Prompt]:
    """Second phase: the thought stands in a finished turn, and audio codes follow behind it."""
    without = song_text(negative if is_meaningful(negative) else caption, lyrics)
    return closed(song_text(caption, lyrics), thought), closed(without, "")


def closed(wish: str, thought: str) -> Prompt:
    """A chat in which the planner has thought and ended its turn."""
    opening = opened(GENERATE, wish).pieces
    return Prompt((*opening, THINK, f"\n{thought}\n", THINK_END, "\n\n", TURN_END, "\n"))


def understand_prompt(codes: Sequence[int]) -> Prompt:
    """Audio codes, to be described."""
    return opened(UNDERSTAND, "", codes)


def inspire_prompt(wish: str, instrumental: bool) -> Prompt:
    """A short wish, to become a whole song."""
    said = wish if wish.strip() else NOTHING_SAID
    return opened(INSPIRE, f"{said}\n\ninstrumental: {str(instrumental).lower()}")


def format_prompt(caption: str, lyrics: str) -> Prompt:
    """A rough caption and rough lyrics, to be put into the form that the model likes."""
    said = caption if caption.strip() else NOTHING_SAID
    sung = lyrics if lyrics.strip() else INSTRUMENTAL
    return opened(FORMAT, f"# Caption\n{said}\n\n# Lyric\n{sung}")


def injection_remarks(tokenizer: TextTokenizer, texts: Mapping[str, str]) -> tuple[str, ...]:
    """What of the texts (by their names) looks like a chat's machinery, and what became of it.

    Control tokens are made harmless. A heading on a line of its own cannot leave its turn either, but inside the turn
    it reads like ours; it is left as written, for taking words out of somebody's song would be worse.
    """
    lines = []
    for name, text in texts.items():
        if names := tokenizer.special_names_in(text):
            lines.append(
                f"In the {name}, {' '.join(names)} is read as ordinary text, not as a control token."
            )
        if found := headings_in(text):
            lines.append(
                f"In the {name}, the line {found[0]!r} looks like a heading of the prompt; "
                "the planner may take what follows for another part."
            )
    return tuple(lines)


def headings_in(text: str) -> list[str]:
    """Lines that look like the headings of a prompt, shortened."""
    return [line.strip()[:40] for line in text.splitlines() if line.strip().lower().startswith(HEADINGS)]
