"""Formulas of adapters: laws that hold for every kind, and what each kind means."""

import pytest
import torch
from torch import Tensor

from acestep_core.adapters.formulas import (
    Change,
    Decomposed,
    Difference,
    Extent,
    Hadamard,
    Kronecker,
    LowRank,
    Mixed,
    Product,
    Target,
    changed,
)
from acestep_core.adapters.rotations import TurnedInputs, TurnedOutputs

ROWS, COLUMNS, RANK = 12, 8, 3


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed + sum(shape)))


def low_rank() -> LowRank:
    return LowRank(random(ROWS, RANK), random(RANK, COLUMNS), 0.7)


def product(seed: int) -> Product:
    return Product(random(ROWS, RANK, seed=seed), random(RANK, COLUMNS, seed=seed))


KINDS: dict[str, Change] = {
    "LoRA": low_rank(),
    "LoHa": Hadamard(product(1), product(2), 0.4),
    "LoKr": Kronecker(random(4, 2), Product(random(3, 2), random(2, 4)), 0.6),
    "difference": Difference(random(ROWS, COLUMNS)),
    "target": Target(random(ROWS, COLUMNS)),
    "GLoRA": Mixed(
        random(COLUMNS, RANK), random(RANK, COLUMNS), random(ROWS, RANK), random(RANK, COLUMNS), 0.3
    ),
    "OFT": TurnedInputs(0.2 * random(2, 6), 5),
    "exact OFT": TurnedInputs(0.2 * random(2, 6), None),
    "diag-OFT": TurnedOutputs(0.2 * random(3, 4, 4), 0.0, 1 + 0.1 * random(ROWS, 1)),
    "DoRA of rows": Decomposed(low_rank(), 1 + random(ROWS).abs()),
    "DoRA of columns": Decomposed(low_rank(), 1 + random(1, COLUMNS).abs(), by_columns=True),
}


@pytest.fixture
def weight() -> Tensor:
    return random(ROWS, COLUMNS, seed=9)


@pytest.fixture(params=KINDS.values(), ids=KINDS.keys())
def change(request: pytest.FixtureRequest) -> Change:
    return request.param


def test_without_strength_the_weight_is_itself(change: Change, weight: Tensor):
    assert changed(weight, change, 0.0) is weight


@pytest.mark.parametrize("strength", [-1.0, 0.5, 2.0])
def test_every_kind_is_linear_in_its_strength(change: Change, weight: Tensor, strength: float):
    whole = changed(weight, change, 1.0)
    assert (whole - weight).abs().max() > 0.1
    torch.testing.assert_close(
        changed(weight, change, strength), weight + strength * (whole - weight), atol=2e-6, rtol=0
    )


def test_what_came_in_is_not_written_to(change: Change, weight: Tensor):
    before = weight.clone()
    changed(weight, change, 1.3)
    change.difference(weight)
    assert torch.equal(weight, before)


def test_a_weight_in_half_precision_is_changed_in_fp32_and_rounded_once(change: Change, weight: Tensor):
    half = weight.bfloat16()
    result = changed(half, change, 0.8)
    assert result.dtype is torch.bfloat16
    assert torch.equal(result, changed(half.float(), change, 0.8).bfloat16())


def test_factors_in_half_precision_are_multiplied_in_fp32(weight: Tensor):
    up, down = random(ROWS, RANK).bfloat16(), random(RANK, COLUMNS).bfloat16()
    torch.testing.assert_close(
        changed(weight, LowRank(up, down, 1.0), 1.0), weight + up.float() @ down.float(), atol=1e-6, rtol=0
    )


def test_every_kind_knows_the_extent_of_its_weights(change: Change):
    rows, columns = change.extent
    assert rows in (ROWS, None)
    assert columns in (COLUMNS, None)
    assert change.extent.fits(Extent(ROWS, COLUMNS))
    assert not change.extent.fits(Extent(ROWS + 1, COLUMNS + 1))


def test_lora_is_scale_times_up_times_down(weight: Tensor):
    lora = low_rank()
    torch.testing.assert_close(
        changed(weight, lora, 1.0), weight + 0.7 * lora.up @ lora.down, atol=1e-6, rtol=0
    )


def test_a_kernel_takes_part_in_a_row():
    up, down = random(ROWS, RANK, 1), random(RANK, COLUMNS, 2)
    lora = LowRank(up, down, 1.0)
    kernels = torch.stack([up[..., 0] @ down[..., k] for k in range(2)], -1)
    assert lora.extent == Extent(ROWS, 2 * COLUMNS)
    torch.testing.assert_close(changed(torch.zeros(ROWS, COLUMNS, 2), lora, 1.0), kernels, atol=1e-6, rtol=0)


def test_a_core_acts_between_up_and_down_at_each_place_of_the_kernel():
    up, middle, down = random(ROWS, RANK, 1), random(RANK, RANK, 2), random(RANK, COLUMNS, 1)
    lora = LowRank(up, down, 0.5, middle)
    kernels = torch.stack([0.5 * up[..., 0] @ middle[..., k] @ down[..., 0] for k in range(2)], -1)
    assert lora.extent == Extent(ROWS, 2 * COLUMNS)
    torch.testing.assert_close(lora.difference(torch.zeros(ROWS, COLUMNS, 2)), kernels, atol=1e-6, rtol=0)


def test_lokr_pairs_every_place_of_a_kernel_by_itself():
    first, second = random(4, 2), random(3, 4, 2)
    kernels = torch.stack([torch.kron(first, second[..., k]) for k in range(2)], -1)
    got = Kronecker(first, second, 1.0).difference(torch.zeros(ROWS, COLUMNS, 2))
    torch.testing.assert_close(got, kernels)


def test_dora_gives_every_row_its_length(weight: Tensor):
    lengths = 1 + random(ROWS).abs()
    result = changed(weight, Decomposed(low_rank(), lengths), 1.0)
    torch.testing.assert_close(result.norm(dim=1), lengths)


def test_dora_gives_every_column_its_length_where_the_file_says_so(weight: Tensor):
    lengths = 1 + random(1, COLUMNS).abs()
    result = changed(weight, Decomposed(low_rank(), lengths, by_columns=True), 1.0)
    torch.testing.assert_close(result.norm(dim=0, keepdim=True), lengths)


def test_on_a_square_weight_dora_still_tells_rows_from_columns():
    square, lora = random(COLUMNS, COLUMNS), LowRank(random(COLUMNS, RANK), random(RANK, COLUMNS), 1.0)
    lengths = 1 + random(COLUMNS).abs()
    by_rows = changed(square, Decomposed(lora, lengths), 1.0)
    by_columns = changed(square, Decomposed(lora, lengths[None], by_columns=True), 1.0)
    torch.testing.assert_close(by_rows.norm(dim=1), lengths)
    torch.testing.assert_close(by_columns.norm(dim=0), lengths)


def test_a_row_of_zeros_has_no_direction_and_stays_zero(weight: Tensor):
    weight[2] = 0
    still = LowRank(torch.zeros(ROWS, RANK), random(RANK, COLUMNS), 1.0)
    result = changed(weight, Decomposed(still, torch.ones(ROWS)), 1.0)
    assert torch.equal(result[2], torch.zeros(COLUMNS))
    assert result.isfinite().all()
