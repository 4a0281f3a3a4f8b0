"""Numbers that are none are found in tensors of every dtype, and named; everything else is left alone."""

import pytest
import torch

from acestep_core.errors import UnsupportedCheckpointError
from acestep_core.finite import all_finite, refuse_broken

FLOATS = [
    torch.float64,
    torch.float32,
    torch.float16,
    torch.bfloat16,
    torch.float8_e4m3fn,
    torch.float8_e5m2,
]


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf"), None])
def test_one_number_that_is_none_is_found(dtype, bad):
    if dtype is torch.float8_e4m3fn and bad is not None:
        bad = float("nan")  # it knows no infinity
    tensor = torch.full((3, 1000), 0.5)
    if bad is not None:
        tensor[1, 500] = bad
    assert all_finite(tensor.to(dtype)) == (bad is None)


def test_infinities_that_cancel_each_other_are_found():
    assert not all_finite(torch.tensor([float("inf"), -float("inf"), 1.0]))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_numbers_whose_sum_overflows_are_numbers(dtype):
    assert all_finite(torch.full((100,), torch.finfo(dtype).max, dtype=dtype))


@pytest.mark.parametrize("tensor", [torch.ones(0), torch.ones(3, dtype=torch.int64), torch.tensor([True])])
def test_what_cannot_be_broken_is_not(tensor):
    assert all_finite(tensor)


def test_the_broken_weights_are_named():
    good, bad = torch.ones(4), torch.tensor([1.0, float("nan")])
    refuse_broken([("layers.0.weight", good)], "The VAE")
    with pytest.raises(UnsupportedCheckpointError, match=r"The VAE .* in layers\.1\.weight") as refused:
        refuse_broken([("layers.0.weight", good), ("layers.1.weight", bad)], "The VAE")
    assert "again" in refused.value.remedy
