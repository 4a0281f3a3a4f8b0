"""A seed is any integer and means the same everywhere."""

import pytest
import torch

from acestep_core.seeds import generator_of


def drawn(seed: int) -> list[float]:
    return torch.randn(8, generator=generator_of(seed)).tolist()


def test_a_generator_draws_on_the_cpu_what_torch_draws_of_its_seed():
    assert generator_of(5).device.type == "cpu"
    assert drawn(5) == torch.randn(8, generator=torch.Generator().manual_seed(5)).tolist()
    assert drawn(5) != drawn(6)


@pytest.mark.parametrize("seed", [-1, 0, 2**63, 2**64 - 1])
def test_a_seed_counts_modulo_two_to_the_64(seed):
    assert drawn(seed) == drawn(seed + 2**64) == drawn(seed - 2**64)
