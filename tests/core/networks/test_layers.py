"""Rotary positions and the embedding of time, against plain statements of both."""

import math

import pytest
import torch
from torch import nn

from acestep_core.networks.layers import Rotary, TimestepEmbedding, sinusoid


def test_the_first_half_of_a_head_turns_against_the_second():
    x = torch.randn(2, 5, 1, 8, generator=torch.Generator().manual_seed(0))
    out = Rotary.of(5, 8, 1e6, x).turn(x)
    for place in range(5):
        for i in range(4):
            angle = place * 1e6 ** (-2 * i / 8)
            a, b = x[:, place, 0, i], x[:, place, 0, i + 4]
            assert torch.allclose(out[:, place, 0, i], a * math.cos(angle) - b * math.sin(angle), atol=1e-5)
            assert torch.allclose(
                out[:, place, 0, i + 4], b * math.cos(angle) + a * math.sin(angle), atol=1e-5
            )


def test_the_timestep_shows_cosines_first_and_the_recorded_values():
    values = sinusoid(torch.tensor([0.5]))[0]
    expected = {0: -0.8838, 1: 0.9459, 127: 0.9986, 128: -0.4678, 255: 0.0537}
    assert {i: round(values[i].item(), 4) for i in expected} == expected


@pytest.mark.parametrize(("t", "scaled"), [(0.953125, 952.0), (0.75, 752.0)])  # 953.125 and 750 are no bf16
def test_a_bf16_time_is_rounded_before_the_sinusoid_sees_it(t, scaled):
    angles = scaled * torch.exp(-math.log(10_000) * torch.arange(128) / 128)
    expected = torch.cat((angles.cos(), angles.sin())).to(torch.bfloat16)
    assert torch.equal(sinusoid(torch.tensor([t], dtype=torch.bfloat16))[0], expected)


def test_at_zero_the_second_time_embedding_is_a_constant():
    torch.manual_seed(0)
    embed = TimestepEmbedding(16, nn)
    embedding, rows = embed(torch.zeros(3))
    assert torch.allclose(
        embedding[0], embedding[2], atol=1e-6
    )  # some products treat the last rows otherwise
    assert rows.shape == (3, 6, 16)
