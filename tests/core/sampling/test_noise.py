"""A song's noise is its own: the same alone, in a batch, picked from a batch, and on every run."""

import math

import pytest
import torch

from acestep_core.errors import InvalidInputError
from acestep_core.sampling.noise import NoisePlan, on_sphere


def test_a_song_of_a_batch_has_the_noise_it_has_alone():
    batch = NoisePlan.counting(100, 3).start(20, 8).initial
    for i in range(3):
        assert torch.equal(batch[i : i + 1], NoisePlan.counting(100 + i, 1).start(20, 8).initial)


def test_a_song_picked_from_a_batch_keeps_its_noise():
    batch = NoisePlan.counting(7, 4).start(20, 8).initial
    picked = NoisePlan.counting(7, 2, batch_index=[3, 1]).start(20, 8).initial
    assert torch.equal(picked, batch[[3, 1]])


def test_noise_is_drawn_frame_by_frame_as_the_reference_pipeline_draws_it():
    expected = torch.randn(1, 20, 8, generator=torch.Generator().manual_seed(5))
    assert torch.equal(NoisePlan((5,)).start(20, 8).initial, expected)


def test_fresh_noise_goes_on_with_each_songs_own_generator():
    together = NoisePlan((1, 2)).start(10, 4)
    alone = NoisePlan((2,)).start(10, 4)
    assert torch.equal(together.fresh()[1], alone.fresh()[0])
    assert not torch.equal(alone.fresh(), alone.initial)


@pytest.mark.parametrize("seed", [-1, 2**63, 2**64 - 1])
def test_every_integer_is_a_seed(seed):
    assert torch.isfinite(NoisePlan((seed,)).start(4, 4).initial).all()


@pytest.mark.parametrize("variation", [0.0, 0.3, 1.0])
def test_a_retake_is_the_spherical_mix_of_both_noises(variation):
    first, second = (NoisePlan((seed,)).start(500, 8).initial for seed in (1, 9))
    mixed = NoisePlan((1,), (9,), variation).start(500, 8).initial
    expected = math.cos(variation * math.pi / 2) * first + math.sin(variation * math.pi / 2) * second
    assert torch.allclose(mixed, expected, atol=1e-6)
    assert mixed.std().item() == pytest.approx(1, abs=0.05)


def test_the_ends_of_the_mix_are_exact():
    a, b = torch.randn(2, 3), torch.randn(2, 3)
    assert torch.equal(on_sphere(a, b, 0.0), a)
    assert torch.equal(on_sphere(a, b, 1.0), b)


@pytest.mark.parametrize(
    "plan", [{"seeds": ()}, {"seeds": (1,), "variation": 1.5}, {"seeds": (1, 2), "retake_seeds": (3,)}]
)
def test_plans_that_make_no_sense_are_refused(plan):
    with pytest.raises(InvalidInputError):
        NoisePlan(**plan)
