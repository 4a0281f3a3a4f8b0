"""How strongly an adapter acts: alpha of the file, of the json, of the header, or set by hand."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from support.reference.adapter_checks import RANK, assert_gains, fitted, one
from support.tiny.adapters import (
    ALPHA,
    PEFT_FILE,
    SPELLINGS,
    Lora,
    expected,
    write_json,
    write_spelling,
)


def test_alpha_is_the_tensors_then_the_jsons(transformer: nn.Module, lora: Lora, tmp_path: Path):
    module, other = "layers.0.self_attn.q_proj", "layers.1.mlp.up_proj"
    both = {name: lora[name] for name in (module, other)}
    folder = write_spelling(tmp_path / "pair", "official trainer", both, 8.0)
    tensors = load_file(folder / PEFT_FILE)
    save_file({**tensors, f"base_model.model.{module}.alpha": torch.tensor(2.0)}, folder / PEFT_FILE)
    wanted = {**expected(one(lora, module), 2.0), **expected(one(lora, other), 8.0)}
    assert_gains(folder, transformer, wanted)
    assert [scaled.source for scaled in fitted(folder, transformer).scaled] == [
        "adapter_config.json",
        "the file",
    ]


def test_the_json_comes_before_the_header(transformer: nn.Module, lora: Lora, tmp_path: Path):
    path = write_spelling(tmp_path, "diffusers", one(lora), 12.0)
    assert_gains(path, transformer, expected(one(lora), 12.0))
    pair = path.rename(tmp_path / PEFT_FILE)
    write_json(tmp_path, r=RANK, lora_alpha=6.0)
    assert_gains(pair, transformer, expected(one(lora), 6.0))


def test_a_json_beside_a_file_of_another_name_is_not_its_own(
    transformer: nn.Module, lora: Lora, tmp_path: Path
):
    folder = write_spelling(tmp_path, "official trainer", one(lora), 8.0)
    renamed = (folder / PEFT_FILE).rename(folder / "my.safetensors")
    assert_gains(renamed, transformer, expected(one(lora), float(RANK)))
    assert fitted(renamed, transformer).scaled == [(1.0, "")]


def test_rslora_divides_by_the_root_of_the_rank(transformer: nn.Module, lora: Lora, tmp_path: Path):
    folder = write_spelling(tmp_path, "official trainer", one(lora))
    write_json(folder, r=RANK, lora_alpha=3.0, use_rslora=True)
    assert_gains(folder, transformer, expected(one(lora), 3.0 * RANK**0.5))


@pytest.mark.parametrize(
    ("patterns", "alpha"),
    [
        ({"q_proj": 7}, 7),
        ({"layers.0.self_attn.q_proj": 7}, 7),
        ({"self_attn.q_proj": 5, "q_proj": 7}, 5),
        ({"q_proj": 7, "self_attn.q_proj": 5}, 7),
        ({r"self_attn\.q_proj": 7}, 7),
        ({"_proj": 7}, 3),
        ({"attn.q_proj": 7}, 3),
        ({r"layers\.\d+\.self_attn\..*": 7}, 7),
        ({"q_proj|v_proj": 7}, 7),
        ({"_proj|v_proj": 7}, 3),
    ],
)
def test_a_pattern_is_a_whole_name_or_its_end_after_a_dot_and_the_first_counts(
    transformer: nn.Module, lora: Lora, patterns: dict[str, float], alpha: float, tmp_path: Path
):
    folder = write_spelling(tmp_path, "official trainer", one(lora))
    write_json(folder, r=RANK, lora_alpha=3, alpha_pattern=patterns)
    assert_gains(folder, transformer, expected(one(lora), alpha))


@pytest.mark.parametrize("name", ["official trainer", "ComfyUI", "ai-toolkit"])
def test_an_alpha_set_by_hand_wins(transformer: nn.Module, lora: Lora, name: str, tmp_path: Path):
    spelling = SPELLINGS[name]
    share = ALPHA / RANK if spelling.alpha == "nowhere" else 1.0
    wanted = {key: share * gain for key, gain in expected(one(lora), 10.0).items()}
    assert_gains(write_spelling(tmp_path, name, one(lora)), transformer, wanted, alpha=10.0)
