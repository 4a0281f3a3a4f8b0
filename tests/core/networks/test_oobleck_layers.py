"""The layers of the VAE that are no plain convolutions."""

import pytest
import torch

from acestep_core.networks.oobleck_layers import Snake


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.bfloat16, 8e-3)])
@pytest.mark.parametrize("rows", [1, 60_000])
def test_snake_in_pieces_is_snake(dtype, tolerance, rows):
    snake, x = Snake(24), torch.randn(rows, 24).to(dtype)
    a, b = torch.rand(24) + 0.5, torch.rand(24) + 0.5
    snake.load_state_dict({"frequency": a, "amplitude": b.rsqrt()})
    snake.requires_grad_(False)
    expected = x.float() + torch.sin(a * x.float()).square() / b

    out = snake(x)

    assert out.dtype == dtype
    assert (out.float() - expected).norm() < tolerance * expected.norm()
    assert torch.equal(snake.apply_(x), out)
