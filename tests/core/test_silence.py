"""Silence is what the VAE makes of zeros, at any length."""

import pytest
import torch

from acestep_core.checkpoints.load import EDGE_FRAMES, derive_silence
from acestep_core.silence import Silence
from support.reference.vae import vaes

pytestmark = pytest.mark.filterwarnings("ignore:.*weight_norm. is deprecated:FutureWarning")

FRAME = 1_920


def counted(length):
    return Silence(torch.arange(length * 3.0).reshape(1, length, 3))


@pytest.mark.parametrize("count", [0, 1, 5, 10])
def test_a_shorter_silence_is_the_beginning_of_the_stored_one(count):
    silence = counted(10)
    assert torch.equal(silence.frames(count), silence.stored[:, :count])


@pytest.mark.parametrize("count", [11, 20, 37])
def test_past_its_end_the_stored_silence_begins_again(count):
    silence = counted(10)
    frames = silence.frames(count)
    assert frames.shape == (1, count, 3)
    assert all(torch.equal(frames[:, at], silence.stored[:, at % 10]) for at in range(count))


def test_silence_has_the_channels_of_the_checkpoint():
    assert counted(10).channels == 3


def test_the_derived_silence_is_that_of_encoded_zeros_away_from_the_end():
    vae = vaes()[1]
    zeros = vae.encode(torch.zeros(1, 2, 80 * FRAME)).mean
    derived = derive_silence(vae, frames=70).frames(70)
    torch.testing.assert_close(derived, zeros[:, :70], rtol=0, atol=1e-5)


def test_the_steady_frame_goes_on_for_ever_behind_the_edge():
    derived = derive_silence(vaes()[1]).stored
    assert derived.shape == (1, 15_000, 8)
    assert torch.equal(derived[:, EDGE_FRAMES:], derived[:, -1:].expand(-1, 15_000 - EDGE_FRAMES, -1))
    assert not torch.allclose(derived[:, 0], derived[:, -1])


@pytest.mark.parametrize("frames", [1, EDGE_FRAMES, EDGE_FRAMES + 1])
def test_few_frames_may_be_derived(frames):
    assert derive_silence(vaes()[1], frames=frames).stored.shape == (1, frames, 8)
