"""A brief, a task and reference sounds become the sequence that steers the diffusion transformer."""

from dataclasses import dataclass, replace
from itertools import accumulate
from typing import NamedTuple

import torch
from torch import Tensor

from ..errors import InvalidInputError
from ..interface import Report
from ..networks.condition_encoder import ConditionEncoder
from ..networks.text_encoder import TextEncoder
from ..silence import Silence
from ..timebase import TIMBRE_FRAMES
from .prompts import Brief, caption_prompt, lyrics_heading, lyrics_prompt, metadata_lines, remarks
from .tasks import Task, instruction
from .tokenizer import TextTokenizer, Tokens

CAPTION_TOKENS = 256  # instruction, caption and metadata together
LYRIC_TOKENS = 2048
QUOTED = 80  # characters of a cut text that the report shows


class LyricTokens(NamedTuple):
    """Where the words are in a condition's sequence, without the heading before them."""

    start: int  # row of the first token
    pieces: tuple[bytes, ...]  # what each token says; a character may be spread over several


@dataclass(frozen=True, slots=True)
class Condition:
    """All that the sampler needs to know of one song."""

    enc: Tensor  # [L, W]: lyrics, one token per reference sound, caption; never padded
    task: Task
    brief: Brief
    lyrics: LyricTokens | None = None  # None: made by hand, nobody knows


class Conditioner:
    """Encodes songs for one checkpoint, and keeps the timbre of its silence once that has been heard."""

    def __init__(
        self,
        tokenizer: TextTokenizer,
        text_encoder: TextEncoder,
        condition_encoder: ConditionEncoder,
        silence: Silence,
        knows_stems: bool = False,
    ) -> None:
        """knows_stems: the checkpoint's config.json says `is_lego_sft`."""
        self.tokenizer = tokenizer
        self.text_encoder = text_encoder
        self.condition_encoder = condition_encoder
        self.silence = silence
        self.knows_stems = knows_stems
        self.silent_timbre: Tensor | None = None

    @torch.no_grad()
    def encode(
        self,
        brief: Brief,
        task: Task,
        references: Tensor | None = None,
        has_codes: bool = False,
        device: torch.device | str = "cpu",
        dtype: torch.dtype | None = None,
    ) -> tuple[Condition, Report]:
        """One song's condition, encoded alone, and the report on it.

        references: latents [R, 750, C] of R sounds whose timbre is wanted; None: silence stands in.
        dtype: computing type where the layers cast their weights to it; None: that of the weights.
        """
        if references is not None:
            check_references(references, self.silence.channels)
        order = instruction(task, brief.tracks, has_codes)
        readable = brief if self.knows_stems else replace(brief, stem=None)
        caption_tokens = self.tokenizer.encode(caption_prompt(order, readable), CAPTION_TOKENS)
        lyric_tokens = self.tokenizer.encode(lyrics_prompt(readable), LYRIC_TOKENS)

        width = dtype or self.condition_encoder.text_projector.weight.dtype
        caption = self.text_encoder.hidden_states(as_tensor(caption_tokens, device), dtype).to(width)
        lyrics = self.text_encoder.embed(as_tensor(lyric_tokens, device)).to(width)
        enc = self.condition_encoder.join(caption, lyrics, self.timbre(references, caption))[0]

        report = (
            f"Task {task.name}: {order}",
            *token_lines("Caption", caption_tokens, CAPTION_TOKENS),
            *token_lines("Lyrics", lyric_tokens, LYRIC_TOKENS),
            f"Metadata: {', '.join(metadata_lines(brief))}; language: {brief.language}",
            timbre_line(references),
            *self.warnings(brief, task),
        )
        return Condition(enc, task, brief, self.words(readable, lyric_tokens)), report

    def words(self, brief: Brief, tokens: Tokens) -> LyricTokens:
        """The lyrics among the tokens of their prompt: from the first that holds any of the words."""
        pieces = self.tokenizer.pieces(tokens.ids[: tokens.ids.index(self.tokenizer.end)])
        ends = accumulate(len(piece) for piece in pieces)
        start = sum(end <= len(lyrics_heading(brief).encode()) for end in ends)
        return LyricTokens(start, pieces[start:])

    def timbre(self, references: Tensor | None, like: Tensor) -> Tensor:
        """References [R, 750, C] or None -> [R or 1, W]; all-zero latents are no sound and count as silence."""
        if references is None:
            return self.silent_timbre_like(like)
        heard = is_heard(references)
        if heard.all():
            return self.condition_encoder.timbre(references.to(like))
        vectors = self.silent_timbre_like(like).repeat(len(references), 1)
        if heard.any():
            vectors[heard.to(like.device)] = self.condition_encoder.timbre(references[heard].to(like))
        return vectors

    def silent_timbre_like(self, like: Tensor) -> Tensor:
        """The timbre of silence [1, W]; the encoder listens to it only once per computing type."""
        if self.silent_timbre is None or self.silent_timbre.dtype != like.dtype:
            heard = self.condition_encoder.timbre(self.silence.frames(TIMBRE_FRAMES).to(like))
            self.silent_timbre = heard.clone()  # a view would keep 750 vectors in the device's memory
        return self.silent_timbre.to(like.device)

    def warnings(self, brief: Brief, task: Task) -> Report:
        """Whatever of the brief is read otherwise than it was written."""
        lines = list(remarks(brief))
        texts = {"caption": brief.caption, "lyrics": brief.lyrics}
        if brief.stem is not None:
            texts["global caption"] = brief.stem.global_caption
            if not self.knows_stems:
                lines.append("This checkpoint knows no stem control; the global caption is not used.")
        for field, text in texts.items():
            if names := self.tokenizer.special_names_in(text):
                lines.append(
                    f"In the {field}, {' '.join(names)} is read as ordinary text, not as a control token."
                )
        if brief.tracks and task.tracks == "none":
            lines.append(f"The task {task.name} names no track; {', '.join(brief.tracks)} is not used.")
        return tuple(lines)


def check_references(references: Tensor, channels: int) -> None:
    """Refuse latents that no 30 s of sound became."""
    expected = (TIMBRE_FRAMES, channels)
    if references.ndim != 3 or not len(references) or tuple(references.shape[1:]) != expected:
        raise InvalidInputError(
            f"Timbre references must be latents [count, {TIMBRE_FRAMES}, {channels}], not {list(references.shape)}.",
            "Make them with Reference Timbre, which cuts every sound to 30 seconds.",
        )
    if not references.isfinite().all():
        raise InvalidInputError(
            "A timbre reference holds values that are no numbers (NaN or infinity).",
            "Encode the reference sound again, in fp32 if half precision overflowed.",
        )


def is_heard(references: Tensor) -> Tensor:
    """Which references hold anything at all: [R, 750, C] -> [R]."""
    return references.flatten(1).any(1)


def as_tensor(tokens: Tokens, device: torch.device | str) -> Tensor:
    """Token ids as a batch of one, [1, L]."""
    return torch.tensor([tokens.ids], device=device)


def token_lines(name: str, tokens: Tokens, limit: int) -> Report:
    """How much of the limit is used, and what did not fit."""
    used = f"{name}: {len(tokens.ids)} of {limit} tokens."
    if not tokens.dropped:
        return (used,)
    quote = tokens.cut_text if len(tokens.cut_text) <= QUOTED else tokens.cut_text[:QUOTED] + "..."
    last = f"more than {tokens.dropped}" if tokens.more else f"the last {tokens.dropped}"
    return used, f"{name}: {last} tokens did not fit and are cut: {quote!r}"


def timbre_line(references: Tensor | None) -> str:
    """What stands in for the timbre."""
    if references is None:
        return "Timbre: none given, silence stands in."
    silent = len(references) - int(is_heard(references).sum())
    return (
        f"Timbre: {len(references)} given, {silent} of them silent."
        if silent
        else f"Timbre: {len(references)} given."
    )
