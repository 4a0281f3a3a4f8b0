"""Weights of one byte: products are those of the rounded weights, and a planner in bytes writes as the rounded one would."""

from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from torch import nn

from acestep_core.planner import int8
from acestep_core.planner.cache import KeyValueCache
from acestep_core.planner.generation import CodeTokens, Options, Prompts, compose_codes
from acestep_core.planner.int8 import (
    FEW,
    FEW_OF_HALF,
    MOST,
    Int8Linear,
    Int8Planner,
    in_bytes,
    packed,
    plain,
    precise,
    quick,
)
from acestep_core.planner.network import PlannerNetwork
from acestep_core.planner.token_sampling import SamplingParams
from support.reference.planner import SIZES, pair

WIDE = replace(
    SIZES, hidden_size=64, intermediate_size=96, head_dim=16
)  # multiples of what the fast product wants
BF16 = 2**-8  # what it rounds what it multiplies to


def drawn(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


def meant(weight):
    """The numbers that the bytes of a weight stand for."""
    rows, scale = in_bytes(weight)
    return rows.float() * scale[:, None].float()


def test_no_weight_is_rounded_by_more_than_half_a_step():
    weight = drawn(64, 96) * torch.logspace(-3, 1, 64)[:, None]
    step = weight.abs().amax(1, keepdim=True) / MOST
    away = (meant(weight) - weight).abs()
    largest = weight.abs() == weight.abs().amax(1, keepdim=True)
    assert (away[~largest] <= 0.5 * step.expand_as(away)[~largest] * (1 + 2 * BF16)).all()
    assert (away[largest] <= weight.abs()[largest] * BF16).all()  # where the scale itself was rounded down


needs_packing = pytest.mark.skipif(
    not int8.packs(), reason="FBGEMM packs bytes on processors of Intel and AMD alone"
)


@pytest.fixture(params=[pytest.param(True, marks=needs_packing), False])
def packs(request, monkeypatch):
    """Once with FBGEMM, and once as where torch has none."""
    monkeypatch.setattr(int8, "packs", lambda: request.param)
    return request.param


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_product_is_that_of_the_rounded_weights(dtype):
    weight, x = drawn(64, 96), drawn(FEW, 96).to(dtype)
    expected = x.float() @ meant(weight).T
    for product, allowed in ((plain, 1e-6 if dtype == torch.float32 else BF16), (quick, BF16)):
        answer = product(x, *in_bytes(weight))
        assert answer.dtype == dtype
        assert (answer - expected).norm() <= 2 * allowed * expected.norm(), product


@needs_packing
@pytest.mark.parametrize(("dtype", "allowed"), [(torch.float32, 4e-4), (torch.bfloat16, BF16)])
@pytest.mark.parametrize("tokens", [0, 1, 2, 300])
@pytest.mark.parametrize("width", [96, 7])
def test_packed_bytes_are_multiplied_as_precisely_as_words(dtype, allowed, tokens, width):
    weight = drawn(50, width) * torch.logspace(-3, 1, 50)[:, None]
    x = (drawn(tokens, width) * torch.logspace(-30, 20, tokens)[:, None]).to(dtype)
    expected = x.double() @ meant(weight).double().T
    answer = precise(x, packed(*in_bytes(weight)))
    assert answer.dtype == dtype
    away = (answer.double() - expected).norm(dim=-1)
    assert (away <= allowed * expected.norm(dim=-1)).all()  # of every token by itself, however small it is


@needs_packing
def test_the_largest_bytes_do_not_run_over():
    """Each pair of products has to fit in 16 bits where a processor adds them there."""
    rows, scale = torch.full((8, 64), MOST, dtype=torch.int8), torch.ones(8)
    for x in (torch.ones(1, 64), -torch.ones(1, 64)):
        assert precise(x, packed(rows, scale)).allclose(x.sum() * MOST)
    assert 2 * MOST * (2 * int8.FINE + 1) < 2**15


@needs_packing
def test_nothing_stays_nothing_and_what_is_no_number_stays_with_its_token():
    x = drawn(4, 96)
    x[0], x[1, 3], x[2, 5] = 0, torch.nan, -torch.inf
    answer = precise(x, packed(*in_bytes(drawn(64, 96))))
    assert not answer[0].any()
    assert not answer[1:3].isfinite().any()
    assert answer[3].isfinite().all()


@pytest.mark.skipif("fbgemm" not in torch.backends.quantized.supported_engines, reason="torch without FBGEMM")
def test_where_torch_has_the_product_it_is_used():
    assert int8.packs()


def test_a_torch_that_cannot_pack_is_noticed(monkeypatch):
    asked = int8.packs.__wrapped__
    for trouble in (AttributeError, NotImplementedError, RuntimeError):

        def packed(rows, scale, trouble=trouble):
            raise trouble("linear_prepack")

        monkeypatch.setattr(int8, "packed", packed)
        assert not asked()


@pytest.mark.parametrize(("dtype", "few"), [(torch.float32, FEW), (torch.bfloat16, FEW_OF_HALF)])
@pytest.mark.parametrize(("more", "width", "name"), [(0, 96, "quick"), (1, 96, "plain"), (0, 40, "plain")])
def test_without_packing_the_fast_product_is_taken_for_few_tokens_of_fitting_width(
    monkeypatch, dtype, few, more, width, name
):
    tokens = few + more
    asked = []
    monkeypatch.setattr(int8, "packs", lambda: False)
    for each in ("quick", "plain"):
        monkeypatch.setattr(
            int8, each, lambda x, rows, _, each=each: asked.append(each) or x @ rows.to(x.dtype).T
        )
    assert Int8Linear(drawn(64, width))(drawn(1, tokens, width).to(dtype)).shape == (1, tokens, 64)
    assert asked == [name]


def test_layers_of_one_input_are_multiplied_as_one(packs):
    one, other, x = drawn(64, 96), drawn(32, 96), drawn(1, 3, 96)
    expected = torch.cat((Int8Linear(one)(x), Int8Linear(other)(x)), -1)
    assert torch.equal(Int8Linear(one, other)(x), expected)


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.float16, torch.bfloat16])
def test_weights_of_every_dtype_are_taken(dtype):
    stored = drawn(64, 96).to(dtype)
    assert all(map(torch.equal, in_bytes(stored), in_bytes(stored.float())))


def test_rows_of_nothing_stay_nothing_and_broken_ones_are_seen():
    weight = drawn(3, 32)
    weight[0], weight[1, 5], weight[2, 7] = 0, torch.nan, torch.inf
    rows, scale = in_bytes(weight)
    assert not rows[0].any()
    assert scale.isfinite().tolist() == [True, False, False]


def rounded(network):
    """A planner with the rounded numbers as ordinary weights."""
    made = deepcopy(network)
    for layer in made.layers:
        for linear in layer.modules():
            if isinstance(linear, nn.Linear):
                linear.weight.copy_(meant(linear.weight))
    return made


def hidden(network, ids):
    cache = KeyValueCache(network.sizes, 1, 1, len(ids), torch.device("cpu"), torch.float32)
    return network(torch.tensor([ids]), cache.view_of_prompt(0, len(ids)))


@pytest.mark.parametrize("tokens", [FEW + 8, FEW])
def test_a_planner_in_bytes_is_the_rounded_one(packs, tokens):
    allowed = 1e-3 if packs else 1e-5 if tokens > FEW else 4 * BF16
    ours = pair(WIDE)[1]
    expected, ids = hidden(rounded(ours), list(range(tokens))), list(range(tokens))
    answer = hidden(Int8Planner(ours), ids)
    assert (answer - expected).norm() <= allowed * expected.norm()
    assert (answer - hidden(pair(WIDE)[1], ids)).norm() > allowed * expected.norm()  # it is rounded


def test_its_memory_is_a_byte_a_weight_and_no_matrix_is_left_out(packs):
    network = Int8Planner(pair(WIDE)[1])
    assert isinstance(network, PlannerNetwork)
    parts = [part for part in network.layers.modules() if isinstance(part, Int8Linear)]
    assert len(parts) == 4 * WIDE.num_hidden_layers
    assert not any(isinstance(part, nn.Linear) for part in network.layers.modules())
    exact = sum(weight.numel() for weight in pair(WIDE)[1].layers.parameters() if weight.ndim == 2)
    counted = [
        weight for weight in network.layers.state_dict().values() if weight.ndim == 2
    ]  # as ComfyUI does
    assert {weight.dtype for weight in counted} == {torch.int8}
    assert sum(weight.nbytes for weight in counted) == exact
    taken = sum(weight.untyped_storage().nbytes() for weight in counted)
    assert taken == (len(counted) if packs else exact)  # beside what is packed


def test_it_composes_what_the_rounded_one_composes_where_nothing_is_drawn(packs):
    ours, codes = pair(WIDE, tied=False)[1], slice(20, 84)
    tokens, options = CodeTokens(range(20, 84), end=3), Options(SamplingParams(temperature=0), (0, 1))
    plainly = rounded(ours)
    plainly.lm_head.weight[codes] = meant(plainly.lm_head.weight[codes])
    expected = compose_codes(plainly, Prompts([1, 2, 3], [1, 2]), tokens, 4, options)
    answer = compose_codes(Int8Planner(ours), Prompts([1, 2, 3], [1, 2]), tokens, 4, options)
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(answer, expected, strict=True))
    assert len(answer[0].unique()) > 1


def test_the_head_of_the_codes_is_rounded_once_and_a_single_row_not_at_all():
    network = Int8Planner(pair(WIDE)[1])
    where = torch.device("cpu"), torch.float32
    first = network.head(slice(0, 64), *where)
    assert isinstance(first, Int8Linear)
    assert network.head(slice(0, 64), *where) is first
    x = drawn(2, WIDE.hidden_size)
    assert torch.equal(network.head(slice(5, 6), *where)(x), x @ network.table[5:6].T)
