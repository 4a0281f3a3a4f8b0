"""Adapters of every kind against the packages that write them: the weights that PEFT and LyCORIS act with are ours."""

from pathlib import Path

import pytest
import torch
from torch import nn

from acestep_core.adapters.adapted import with_adapter
from acestep_core.checkpoints.layouts import open_checkpoint
from acestep_core.checkpoints.load import load_condition_encoder, load_transformer
from acestep_core.checkpoints.planner_files import load_planner, open_planner
from support.reference.adapter_kinds import ATTENTION, LYCORIS, MLP, PEFT, Write
from support.reference.adapter_oracles import furthest, moved, peft_adapter

CLOSE = 1e-6


@pytest.fixture(scope="module")
def transformer(tiny_turbo: Path) -> nn.Module:
    return load_transformer(open_checkpoint(tiny_turbo / "official"))


def compare(network: nn.Module, write: Write, path: Path) -> None:
    """Write, read, and find the same weights moved to the same numbers."""
    theirs, before = write(network, path), network.state_dict()
    ours = with_adapter(network, path).state_dict()
    assert len(moved(before, theirs)) > 4
    assert moved(before, theirs) == moved(before, ours)
    assert max(float((before[name] - weight).abs().max()) for name, weight in theirs.items()) > 1e-3
    assert furthest(ours, theirs) <= CLOSE


@pytest.mark.parametrize("write", PEFT.values(), ids=PEFT.keys())
def test_what_peft_merges_is_what_we_load(transformer: nn.Module, write: Write, tmp_path: Path):
    compare(transformer, write, tmp_path)


@pytest.mark.parametrize("write", LYCORIS.values(), ids=LYCORIS.keys())
def test_what_lycoris_acts_with_is_what_we_load(transformer: nn.Module, write: Write, tmp_path: Path):
    compare(transformer, write, tmp_path / "adapter.safetensors")


@pytest.mark.parametrize("name", ["LoRA", "DoRA", "LoKr"])
def test_the_wide_model_is_no_different(tiny_xl: Path, name: str, tmp_path: Path):
    compare(load_transformer(open_checkpoint(tiny_xl / "official")), PEFT[name], tmp_path)


def test_the_condition_encoder_takes_its_own(tiny_turbo: Path, tmp_path: Path):
    network = nn.Module()
    encoder = load_condition_encoder(open_checkpoint(tiny_turbo / "official"))
    network.add_module("encoder", encoder)
    theirs = peft_adapter(
        network, tmp_path, {"r": 4, "lora_alpha": 3, "target_modules": ["text_projector", *ATTENTION]}
    )
    ours = with_adapter(encoder, tmp_path).state_dict()
    assert furthest({f"encoder.{name}": weight for name, weight in ours.items()}, theirs) <= CLOSE
    assert not torch.equal(ours["text_projector.weight"], encoder.text_projector.weight)


def test_the_planner_takes_its_own(tiny_turbo: Path, tmp_path: Path):
    network = nn.Module()
    planner = load_planner(open_planner(tiny_turbo / "official" / "acestep-5Hz-lm-1.7B"))
    network.add_module("model", planner)
    theirs = peft_adapter(network, tmp_path, {"r": 4, "lora_alpha": 3, "target_modules": [*ATTENTION, *MLP]})
    ours = with_adapter(planner, tmp_path).state_dict()
    assert len(moved(planner.state_dict(), ours)) == 14
    assert furthest({f"model.{name}": weight for name, weight in ours.items()}, theirs) <= CLOSE
