"""What the ears hear when the plumbing is broken on purpose, one breakage at a time."""

import dataclasses

import pytest
import torch

from acestep_core.sampling import guidance
from acestep_core.sampling.context import Context
from acestep_core.silence import Silence
from acestep_core.text import conditions
from acestep_core.text.tasks import TASKS
from training import hearing, layout
from training.evaluate import asked, brief_of, mono_of, share_of, steadier, written
from training.playing import Settings

pytestmark = pytest.mark.slow

LOUDEST = 8.6  # of the mean strike, guided; measured: 8.05, and 9.21 without momentum
DRUMS = slice(layout.KICK, layout.CRASH + 1)
WISH = next(wish for wish in asked(30, seed=4) if wish.style == "pop")


def beat_is_heard(studio) -> bool:
    """Songs from text keep their beats; measured: 8 of 8, and 2 with zeros."""
    wishes = asked(8, seed=4)
    sounds = studio.sound(studio.compose([brief_of(wish) for wish in wishes], 12.0, range(8)))
    return all(steadier(mono_of(sound), wish.eighth) for sound, wish in zip(sounds, wishes, strict=True))


def hole_is_filled(studio) -> bool:
    """What is repainted sounds again, and not by the strikes that were there."""
    song = written(WISH, 8.0)[None]
    new = studio.repaint(song, brief_of(WISH), 60, 140, seed=1)
    inside = mono_of(studio.sound(new)[0])[62 * 1920 : 138 * 1920]
    struck, known = (one[0, 62:138] > layout.STRIKE / 2 for one in (new, song))
    return hearing.loudness(inside) > -30 and bool((struck != known).sum() > 0.05 * known.sum())


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


def extract_is_alone(studio) -> bool:
    """Drums taken out of a mix are heard without the rest."""
    song = written(WISH, 8.0)[None]
    drums = studio.work("extract", song, brief_of(WISH), ("drums",), seed=1)
    return share_of(mono_of(studio.sound(drums)[0]), DRUMS) > 0.8


def guided_song_is_not_louder(studio) -> bool:
    """Strong guidance makes the strikes hardly stronger than they are without."""
    told = [brief_of(wish) for wish in asked(30, seed=4) if wish.style in ("pop", "dance")][:3]
    guided = dataclasses.replace(studio, settings=Settings(steps=16, guidance=15.0))
    songs = guided.compose(told, 8.0, [1, 2, 3])
    return bool(songs[songs > layout.STRIKE / 2].mean() < LOUDEST)


def without_momentum(monkeypatch) -> None:
    """The running difference of the guidance runs no more."""
    guide = guidance.Apg.__call__
    monkeypatch.setattr(guidance.Apg, "__call__", lambda self, both, _: guide(self, both, None))


def with_zero_silence(monkeypatch) -> None:
    """Zeros stand where the checkpoint's silence belongs."""
    frames = Silence.frames
    monkeypatch.setattr(Silence, "frames", lambda self, count: torch.zeros_like(frames(self, count)))


def with_inverted_mask(monkeypatch) -> None:
    """What shall be kept is made anew, and the other way round."""
    right = Context.of
    inverted = classmethod(
        lambda _, source, mask, *more: right(source, mask if mask is None else 1 - mask, *more)
    )
    monkeypatch.setattr(Context, "of", inverted)


def with_shifted_hints(monkeypatch) -> None:
    """Hints come one frame late."""
    from acestep_core.networks.audio_codes import AudioCodec

    hints = AudioCodec.hints
    monkeypatch.setattr(AudioCodec, "hints", lambda self, codes, dtype: hints(self, codes, dtype).roll(1, 1))


def with_swapped_instruction(monkeypatch) -> None:
    """Extract is told what complete should be told."""
    right = conditions.instruction
    tasks = {"extract": TASKS["complete"]}
    monkeypatch.setattr(
        conditions, "instruction", lambda task, *more: right(tasks.get(task.name, task), *more)
    )


@pytest.mark.parametrize(
    "ear",
    [
        beat_is_heard,
        hole_is_filled,
        cover_is_in_time,
        cover_is_alike,
        extract_is_alone,
        guided_song_is_not_louder,
    ],
)
def test_with_whole_plumbing_the_ear_is_content(studio, ear):
    assert ear(studio)


@pytest.mark.parametrize(
    ("breakage", "ear"),
    [
        (with_zero_silence, beat_is_heard),
        (with_inverted_mask, hole_is_filled),
        (with_shifted_hints, cover_is_in_time),
        (with_swapped_instruction, extract_is_alone),
        (without_momentum, guided_song_is_not_louder),
    ],
)
def test_a_breakage_is_heard(studio, monkeypatch, breakage, ear):
    breakage(monkeypatch)
    assert not ear(studio)
