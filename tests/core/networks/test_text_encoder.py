import json
from dataclasses import asdict, replace
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from transformers import Qwen3Config, Qwen3Model

from acestep_core.checkpoints.load import text_encoder_of
from acestep_core.errors import UnsupportedCheckpointError
from acestep_core.networks.config import DEFAULT_ROPE_THETA
from acestep_core.networks.qwen3 import Qwen3Sizes
from acestep_core.networks.text_encoder import TextEncoder, build_qwen3, replace_layers
from support.reference.golden_briefs import CASES, ENCODER_FOLDER, GOLDEN
from support.reference.oracle import CASTING
from support.tiny.shapes import FULL_QWEN, qwen_shapes

CONFIG = json.loads((ENCODER_FOLDER / "config.json").read_text())
SIZES = Qwen3Sizes(
    vocab_size=50,
    hidden_size=24,
    intermediate_size=40,
    num_hidden_layers=3,
    num_attention_heads=4,
    num_key_value_heads=2,
    head_dim=8,
    rms_norm_eps=1e-6,
    rope_theta=1e6,
)
IDS = torch.arange(30)[None] % 17


class HostLinear(nn.Linear):
    pass


class HostEmbedding(nn.Embedding):
    pass


class HostNorm(nn.RMSNorm):
    pass


HOST = SimpleNamespace(
    Linear=HostLinear,
    Embedding=HostEmbedding,
    RMSNorm=HostNorm,
    Conv1d=nn.Conv1d,
    ConvTranspose1d=nn.ConvTranspose1d,
)


def peer(sizes=SIZES):
    """The same network straight from transformers, with random weights."""
    torch.manual_seed(0)
    rope = {"rope_type": "default", "rope_theta": sizes.rope_theta}
    model = Qwen3Model(Qwen3Config(**asdict(sizes), rope_parameters=rope)).train(False).requires_grad_(False)
    for name, weight in model.named_parameters():
        weight.normal_(1.0 if "norm" in name else 0.0, 0.1 if "norm" in name else 0.3)
    return model


def ours_like(model, ops=nn, sizes=SIZES, dtype=None):
    return text_encoder_of(model.state_dict(), sizes, ops, dtype)


@pytest.mark.parametrize("ops", [nn, HOST])
def test_hidden_states_equal_those_of_transformers(ops):
    model = peer()

    torch.testing.assert_close(
        ours_like(model, ops).hidden_states(IDS), model(IDS).last_hidden_state, atol=5e-5, rtol=0
    )


@pytest.mark.parametrize("variant", ["turbo", "base"])
def test_hidden_states_and_lyric_rows_equal_the_recorded_ones(variant):
    recorded = load_file(GOLDEN / f"golden_{variant}.safetensors")
    encoder = text_encoder_of(
        load_file(ENCODER_FOLDER / "model.safetensors"), Qwen3Sizes.from_json(CONFIG), nn
    )
    for name in CASES[variant]:
        for row in range(len(recorded[f"{name}/text_ids"])):
            length = int(recorded[f"{name}/text_mask"][row].sum())
            hidden = encoder.hidden_states(recorded[f"{name}/text_ids"][row : row + 1, :length])
            rows = encoder.embed(recorded[f"{name}/lyric_ids"][row : row + 1])

            expected = recorded[f"{name}/text_hidden"][row : row + 1, :length]
            torch.testing.assert_close(hidden, expected, atol=5e-5, rtol=0)
            assert torch.equal(rows, recorded[f"{name}/lyric_hidden"][row : row + 1])


def test_a_token_does_not_see_the_ones_after_it():
    encoder, changed = ours_like(peer()), IDS.clone()
    changed[0, 20:] += 3
    same = encoder.hidden_states(IDS)[:, :20] - encoder.hidden_states(changed)[:, :20]

    assert same.abs().max() < 1e-6


def test_lyric_rows_are_the_embedding_table_alone():
    model = peer()

    assert torch.equal(ours_like(model).embed(IDS), model.embed_tokens.weight[IDS])


def test_half_precision_equals_transformers_in_half_precision():
    model = peer()
    encoder = ours_like(model, dtype=torch.bfloat16)
    for weight in model.parameters():  # not model.to(), which would round the rotary frequencies as well
        weight.data = weight.data.to(torch.bfloat16)

    assert encoder.hidden_states(IDS).dtype == torch.bfloat16
    assert torch.equal(encoder.hidden_states(IDS), model(IDS).last_hidden_state)


def test_positions_stay_exact_when_the_module_is_cast():
    encoder = ours_like(peer()).to(torch.bfloat16)
    tables = encoder.model.rotary_emb(torch.zeros(1), torch.arange(600)[None])
    expected = peer().rotary_emb(torch.zeros(1), torch.arange(600)[None])

    assert all(map(torch.equal, tables, expected))


def test_a_computing_type_is_taken_where_layers_can_cast():
    casting = SimpleNamespace(**{**vars(HOST), "Linear": CASTING.Linear, "RMSNorm": CASTING.RMSNorm})
    encoder = ours_like(peer(), casting, dtype=torch.bfloat16)
    exact = ours_like(peer().to(torch.bfloat16).float())

    assert encoder.embed(IDS).dtype == torch.bfloat16
    torch.testing.assert_close(
        encoder.hidden_states(IDS, torch.float32), exact.hidden_states(IDS), atol=5e-5, rtol=0
    )


def test_keys_are_the_checkpoints_below_model():
    encoder = ours_like(peer())

    assert list(encoder.state_dict()) == [f"model.{key}" for key in peer().state_dict()]
    assert set(build_on_meta(SIZES, nn).state_dict()) == set(qwen_shapes(asdict(SIZES)))


def test_every_layer_with_weights_comes_from_the_host():
    model = build_on_meta(SIZES, HOST)
    plain = [name for name, layer in model.named_modules() if type(layer) in (nn.Linear, nn.Embedding)]
    hosts = [layer for layer in model.modules() if isinstance(layer, HostLinear | HostEmbedding | HostNorm)]

    assert not plain
    assert len(hosts) == 1 + 1 + SIZES.num_hidden_layers * (7 + 4)
    assert sum(len(list(layer.parameters())) for layer in hosts) == len(list(model.parameters()))


def test_layers_that_hold_weights_are_not_replaced():
    with pytest.raises(AssertionError, match="before weights"):
        replace_layers(peer(), HOST)


def test_nothing_is_left_hollow_and_nothing_asks_for_gradients():
    encoder = ours_like(peer())

    assert not list(encoder.buffers())
    assert all(not weight.is_meta and not weight.requires_grad for weight in encoder.parameters())
    assert not encoder.model.training


def test_weights_are_taken_over_and_not_copied():
    weights = peer().state_dict()
    encoder = text_encoder_of(weights, SIZES, nn)

    assert encoder.model.norm.weight.data_ptr() == weights["norm.weight"].data_ptr()


@pytest.mark.parametrize(
    ("spelling", "expected"),
    [
        ({"rope_theta": 5000.0}, 5000.0),
        ({"rope_parameters": {"rope_type": "default", "rope_theta": 5000.0}}, 5000.0),
        ({"rope_theta": 5000.0, "rope_parameters": {"rope_theta": 7.0}}, 5000.0),
        ({"rope_theta": None, "rope_parameters": None}, DEFAULT_ROPE_THETA),
        ({}, DEFAULT_ROPE_THETA),
    ],
)
def test_the_rotary_base_is_found_in_either_spelling(spelling, expected):
    raw = {key: value for key, value in asdict(SIZES).items() if key != "rope_theta"}
    sizes = Qwen3Sizes.from_json({**raw, **spelling})

    assert sizes.rope_theta == expected
    assert build_on_meta(sizes, nn).rotary_emb.theta == expected


def test_a_wrong_rotary_base_would_be_noticed():
    model = peer()
    other = ours_like(model, sizes=replace(SIZES, rope_theta=10_000.0))

    assert (other.hidden_states(IDS) - model(IDS).last_hidden_state).abs().max() > 1e-2


def test_the_published_encoder_has_its_keys_and_parameters():
    model = build_on_meta(Qwen3Sizes.from_shapes(qwen_shapes(FULL_QWEN)), nn)

    assert len(model.state_dict()) == 310
    assert sum(weight.numel() for weight in model.parameters()) == 595_776_512


def test_a_file_that_lacks_a_weight_is_refused_by_its_name():
    weights = peer().state_dict()
    del weights["layers.1.mlp.up_proj.weight"]

    with pytest.raises(UnsupportedCheckpointError, match=r"layers.1.mlp.up_proj.weight"):
        text_encoder_of(weights, SIZES, nn)


def test_the_encoder_is_a_thin_wrapper_of_any_such_model():
    model = peer()

    assert torch.equal(TextEncoder(model).hidden_states(IDS), model(IDS).last_hidden_state)


def build_on_meta(sizes, ops):
    with torch.device("meta"):
        return build_qwen3(sizes, ops)
