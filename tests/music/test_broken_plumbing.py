"""What the ears hear when the plumbing is broken on purpose, one breakage at a time."""

import dataclasses

import numpy as np
import pytest
import torch

from acestep_core.sampling.context import Context
from acestep_core.silence import Silence
from acestep_core.text import conditions
from acestep_core.text.tasks import COVER_INSTRUCTION, TEXT2MUSIC
from training import hearing, layout
from training.evaluate import asked, brief_of, mono_of, steadier, written

WISH = next(wish for wish in asked(30, seed=4) if wish.style == "pop")


def beat_is_heard(studio) -> bool:
    """A song from text keeps its beat."""
    mono = mono_of(studio.sound(studio.compose([brief_of(WISH)], 8.0, [1]))[0])
    return steadier(mono, WISH.eighth)


def hole_is_filled(studio) -> bool:
    """What is repainted sounds again, and differs from what was there."""
    song = written(WISH, 8.0)[None]
    new = studio.repaint(song, brief_of(WISH), 60, 140, seed=1)
    inside = mono_of(studio.sound(new)[0])[62 * 1920 : 138 * 1920]
    before = mono_of(studio.sound(song)[0])[62 * 1920 : 138 * 1920]
    return hearing.loudness(inside) > -30 and np.abs(inside - before).max() > 0.05


def cover_is_in_time(studio) -> bool:
    """A cover strikes on the frames of its song."""
    song = written(WISH, 8.0)[None]
    cover = studio.cover(song, brief_of(dataclasses.replace(WISH, lead="bells")), seed=1)
    struck, known = ((one[0] > layout.STRIKE / 2).any(1) for one in (cover, song))
    return bool((struck & known).sum() > 0.8 * struck.sum() > 0)


def cover_is_alike(studio) -> bool:
    """A cover has the chroma of its song."""
    song = written(WISH, 8.0)[None]
    cover = studio.cover(song, brief_of(WISH), seed=1)
    first, second = (mono_of(studio.sound(one)[0]) for one in (song, cover))
    return hearing.chroma_likeness(first, second) > 0.7


def with_zero_silence(monkeypatch) -> None:
    """Zeros stand where the checkpoint's silence belongs."""
    frames = Silence.frames
    monkeypatch.setattr(Silence, "frames", lambda self, count: torch.zeros_like(frames(self, count)))


def with_inverted_mask(monkeypatch) -> None:
    """The network is told to keep what it shall make."""
    rows = Context.rows
    monkeypatch.setattr(Context, "rows", lambda self: rows(dataclasses.replace(self, mask=1 - self.mask)))


def with_shifted_hints(monkeypatch) -> None:
    """Hints come one frame late."""
    from acestep_core.networks.audio_codes import AudioCodec

    hints = AudioCodec.hints
    monkeypatch.setattr(AudioCodec, "hints", lambda self, codes, dtype: hints(self, codes, dtype).roll(1, 1))


def with_swapped_instruction(monkeypatch) -> None:
    """Text to music gets the instruction of covers, and covers that of text to music."""
    right = conditions.instruction

    def swapped(task, tracks=(), has_codes=False):
        order = right(task, tracks, has_codes)
        plain = right(TEXT2MUSIC)
        return {COVER_INSTRUCTION: plain, plain: COVER_INSTRUCTION}.get(order, order)

    monkeypatch.setattr(conditions, "instruction", swapped)


@pytest.mark.parametrize("ear", [beat_is_heard, hole_is_filled, cover_is_in_time, cover_is_alike])
def test_with_whole_plumbing_the_ear_is_content(studio, ear):
    assert ear(studio)


@pytest.mark.parametrize(
    ("breakage", "ear"),
    [
        (with_zero_silence, beat_is_heard),
        (with_inverted_mask, hole_is_filled),
        (with_shifted_hints, cover_is_in_time),
        (with_swapped_instruction, cover_is_alike),
    ],
)
def test_a_breakage_is_heard(studio, monkeypatch, breakage, ear):
    breakage(monkeypatch)
    assert not ear(studio)
