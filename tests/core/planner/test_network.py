"""The planner's network equals transformers' Qwen3, whole and in slices of its head."""

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from acestep_core.networks.qwen3 import Qwen3Sizes
from acestep_core.planner.cache import KeyValueCache
from acestep_core.planner.network import PlannerNetwork
from support.reference.planner import SIZES, head, pair
from support.tiny.shapes import qwen_shapes

ROWS, QWEN_ROWS = 217_204, 151_936
PUBLISHED = {  # hidden, ffn, layers, heads, parameters of the Qwen3 that it was made of
    "0.6B": (1024, 3072, 28, 16, 596_049_920),
    "1.7B": (2048, 6144, 28, 16, 1_720_574_976),
    "4B": (2560, 9728, 36, 32, 4_022_468_096),
}


def logits_of(network, ids):
    cache = KeyValueCache(network.sizes, 1, 1, len(ids), torch.device("cpu"), torch.float32)
    hidden = network(torch.tensor([ids]), cache.view_of_prompt(0, len(ids)))
    return head(network, hidden[0])


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("kv_heads", [1, 2, 4])
def test_logits_equal_those_of_transformers_at_every_position(tied, kv_heads):
    theirs, ours = pair(replace(SIZES, num_key_value_heads=kv_heads), tied)
    ids = torch.randint(0, 90, (40,), generator=torch.Generator().manual_seed(1)).tolist()

    torch.testing.assert_close(logits_of(ours, ids), theirs(torch.tensor([ids])).logits[0], atol=1e-4, rtol=0)


def test_a_tied_head_is_the_table_and_an_untied_one_is_its_own():
    for tied, expected in ((True, "embed_tokens"), (False, "lm_head")):
        _, ours = pair(tied=tied)
        assert (
            ours.rows(slice(3, 9), torch.device("cpu"), torch.float32).data_ptr()
            == getattr(ours, expected).weight[3:].data_ptr()
        )


@pytest.mark.parametrize("tokens", [slice(12, 40), torch.tensor([1, 17, 88])])
def test_a_slice_of_the_head_gives_a_slice_of_the_logits(tokens):
    theirs, ours = pair()
    hidden = torch.randn(4, SIZES.hidden_size)

    torch.testing.assert_close(head(ours, hidden, tokens), theirs.lm_head(hidden)[:, tokens])


@pytest.mark.parametrize("tokens", [slice(5, 9), torch.tensor([1, 17, 88, 2])])
def test_the_table_is_cut_before_it_is_cast(tokens):
    class Largest(TorchDispatchMode):
        numbers = 0

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            result = func(*args, **(kwargs or {}))
            if result.dtype == torch.float64:
                self.numbers = max(self.numbers, result.numel())
            return result

    _, ours = pair()
    with Largest() as cast:
        rows = ours.rows(tokens, torch.device("cpu"), torch.float64)

    assert torch.equal(rows, ours.embed_tokens.weight[tokens].double())
    assert cast.numbers == rows.numel() == 4 * SIZES.hidden_size


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_published_planners_have_their_rows_and_parameters(name):
    hidden, ffn, layers, heads, parameters = PUBLISHED[name]
    config = {
        "vocab_size": ROWS,
        "hidden_size": hidden,
        "intermediate_size": ffn,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": 8,
        "head_dim": 128,
    }
    sizes = Qwen3Sizes.from_shapes(qwen_shapes(config))
    with torch.device("meta"):
        network = PlannerNetwork(sizes, nn)

    assert {key: tuple(value.shape) for key, value in network.state_dict().items()} == qwen_shapes(config)
    assert network.embed_tokens.weight.shape == (ROWS, hidden)
    counted = sum(weight.numel() for weight in network.parameters())
    assert counted == parameters + (ROWS - QWEN_ROWS) * hidden
