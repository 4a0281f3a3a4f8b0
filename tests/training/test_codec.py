"""Laws of the codec that is constructed, and of the codes with a meaning."""

import numpy as np
import pytest
import torch

from training import clock, codec, codes, layout
from training.composer import Song, score
from training.filterbank import decibels

pytestmark = pytest.mark.slow

FRAMES = 120


@pytest.fixture(scope="module")
def weights():
    return codec.construct()


@pytest.fixture(scope="module")
def oobleck(weights):
    return weights.codec(torch.float16)


def song(seed: int, **fixed):
    roll = score(Song.drawn(np.random.default_rng(seed), **fixed), 0, FRAMES)
    roll[-8:] = 0
    return torch.from_numpy(roll)


@pytest.mark.parametrize("style", ["calm", "pop", "dance", "latin", "waltz"])
def test_a_song_sounds_as_its_strikes_do(oobleck, style):  # measured: 26.7 to 31.2 dB
    roll = song(5, style=style)
    assert decibels(codec.mixed(roll), oobleck.decode(roll[None])[0, 0]) > 24


def test_the_encoder_hears_which_channels_were_struck(oobleck):
    for seed in range(3):
        roll = song(seed)
        heard = oobleck.encode(oobleck.decode(roll[None])).mean[0]
        assert torch.equal(heard > layout.STRIKE / 2, roll > layout.STRIKE / 2)


def test_what_was_heard_sounds_the_same_again(oobleck):
    sound = oobleck.decode(song(7)[None])
    assert decibels(sound, oobleck.decode(oobleck.encode(sound).mean)) > 40


def test_small_errors_of_latents_are_not_heard(oobleck):
    roll = song(8, style="pop")
    noisy = roll + 0.2 * torch.randn(roll.shape, generator=torch.Generator().manual_seed(0))
    clean = oobleck.decode(roll[None])
    assert decibels(clean, oobleck.decode(noisy[None])) > 30  # without the staircase: under 20


def test_the_counting_silence_is_silent(oobleck):
    quiet = oobleck.decode(torch.from_numpy(clock.silence(0, FRAMES))[None])
    assert quiet.abs().max() < 1e-3  # -60 dBFS


def test_encoded_zeros_are_zero(oobleck):
    assert not oobleck.encode(torch.zeros(1, 2, 20 * 1920)).mean.any()


def test_the_stored_weights_are_finite_and_keep_their_norms(weights):
    for name, tensor in weights.official(torch.float16).items():
        assert tensor.isfinite().all(), name
        if name.endswith("weight_v"):
            assert (tensor.float().norm(dim=(1, 2)) - 1).abs().max() < 2e-3, name


def test_codes_tell_apart_whatever_hints_hold():
    groups = codes.groups_at_random(np.random.default_rng(2), 3000)
    spelling = codes.digits(groups)
    assert (spelling >= 0).all()
    assert (spelling < codes.LEVELS).all()
    meant = {}
    for group, digits in zip(groups, spelling.tolist(), strict=True):
        said = codes.neutral(group.numpy()).tobytes()
        assert meant.setdefault(tuple(digits), said) == said
