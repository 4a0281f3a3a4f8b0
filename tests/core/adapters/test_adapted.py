"""Adapters from Python alone: every spelling changes the same weights by the same amount, as strongly as asked."""

from pathlib import Path

import pytest
import torch
from torch import nn

from acestep_core.adapters.adapted import with_adapter
from acestep_core.adapters.formulas import changed
from acestep_core.adapters.keys import Part
from acestep_core.adapters.scales import AdapterScales, layers_of
from support.reference.adapter_checks import Write, assert_gains, fitted, one
from support.tiny.adapters import (
    SPELLINGS,
    Lora,
    expected,
    spelt,
    write_spelling,
)


@pytest.mark.parametrize("name", SPELLINGS)
def test_every_spelling_changes_the_same_weights_by_the_same_amount(
    transformer: nn.Module, lora: Lora, name: str, tmp_path: Path
):
    path = write_spelling(tmp_path, name, lora)
    assert_gains(path, transformer, expected(lora))
    assert not fitted(path, transformer).unused


@pytest.mark.parametrize("strength", [-1.0, 0.5, 2.0])
def test_strength_multiplies_the_gain(transformer: nn.Module, lora: Lora, strength: float, tmp_path: Path):
    path = write_spelling(tmp_path, "ComfyUI", lora)
    wanted = {name: strength * gain for name, gain in expected(lora).items()}
    assert_gains(path, transformer, wanted, strength=strength)


def test_without_strength_every_weight_is_the_given_one(transformer: nn.Module, lora: Lora, tmp_path: Path):
    adapted = with_adapter(transformer, write_spelling(tmp_path, "ComfyUI", lora), 0.0)
    assert adapted is not transformer
    for name, weight in transformer.named_parameters():
        assert adapted.get_parameter(name) is weight


def test_the_given_network_keeps_its_weights_and_shares_those_that_stay(
    transformer: nn.Module, lora: Lora, tmp_path: Path
):
    before = {name: weight.clone() for name, weight in transformer.state_dict().items()}
    adapted = with_adapter(transformer, write_spelling(tmp_path, "ComfyUI", one(lora)))
    for name, weight in transformer.named_parameters():
        assert torch.equal(weight, before[name])
        assert (adapted.get_parameter(name) is weight) == (name != "layers.0.self_attn.q_proj.weight")


def test_scales_of_groups_and_layers_multiply_the_strength(
    transformer: nn.Module, lora: Lora, tmp_path: Path
):
    scales = AdapterScales(self_attn=0.5, mlp=0.0, other=-1.0, layers=layers_of("1: 2, 3: 0"))
    path = write_spelling(tmp_path, "ComfyUI", lora)
    adapted = with_adapter(transformer, path, 0.8, scales).state_dict()
    for name, gain in expected(lora).items():
        group = 0.5 if "self_attn" in name else 0.0 if ".mlp." in name else 1.0 if "cross" in name else -1.0
        layer = 2.0 if name.startswith("layers.1.") else 0.0 if name.startswith("layers.3.") else 1.0
        torch.testing.assert_close(
            adapted[name] - transformer.state_dict()[name], 0.8 * group * layer * gain, atol=1e-6, rtol=0
        )


def test_the_file_is_closed_and_its_numbers_are_kept(transformer: nn.Module, lora: Lora, write: Write):
    path = write(spelt(lora, SPELLINGS["bare"]))
    adapter = fitted(path, transformer)
    with path.open("r+b") as file:  # what a mapping shows changes with the file
        start = 8 + int.from_bytes(file.read(8), "little")
        file.seek(start)
        file.write(bytes(path.stat().st_size - start))
    name = "layers.0.self_attn.q_proj.weight"
    weight = torch.zeros(transformer.get_parameter(name).shape)
    gain = changed(weight, adapter.changes[Part.TRANSFORMER][name], 1.0)
    torch.testing.assert_close(gain, expected(lora)[name], atol=1e-6, rtol=0)
