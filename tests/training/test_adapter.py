"""Laws of the adapter's training: it begins as the model, changes nothing of it, and is what Load LoRA reads."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from acestep_core.adapters.adapted import with_adapter
from acestep_core.checkpoints.layouts import open_checkpoint
from acestep_core.checkpoints.load import load_transformer
from training import adapter, export
from training.examples import batch
from training.network import flow_loss
from training.playing import CHECKPOINT

pytestmark = pytest.mark.slow

RANK, ALPHA = 4, 6.0


@pytest.fixture(scope="module")
def looks():
    """A batch of marches, what noise is in them, and how much."""
    lessons = batch(np.random.default_rng(1), 4, 128, dropped=0.0, style="march")
    noise = torch.randn(lessons.clean.shape, generator=torch.Generator().manual_seed(2))
    return lessons.clean, lessons.weight, torch.tensor([0.95, 0.9, 0.8, 0.6]), noise, lessons.shown


@pytest.fixture(scope="module")
def taught(looks):
    """A few steps: model, products, losses of the same batch before and after, the model's weights before."""
    torch.manual_seed(4)
    model = export.read(CHECKPOINT)
    weights = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    with torch.no_grad():
        before = flow_loss(model, *looks)
        adapted = adapter.adapt(model, RANK, ALPHA)
        assert torch.equal(flow_loss(model, *looks), before)
    adapter.teach(model, adapted, "march", 20)
    with torch.no_grad():
        after = flow_loss(model, *looks)
    return model, adapted, (before, after), weights


def test_a_few_steps_teach_something_and_leave_the_model_as_it_was(taught):
    model, adapted, (before, after), weights = taught
    assert after < 0.95 * before  # measured: 0.47 and 0.42
    assert len(adapted) == 4 * 11
    for name, weight in model.named_parameters():
        if not name.endswith((".down", ".up")):
            assert torch.equal(weight, weights[name.replace(".layer.", ".")])


@torch.no_grad()
def test_the_pair_says_what_was_learnt(taught, tmp_path):
    _, adapted, _, _ = taught
    adapter.write(tmp_path, adapted, RANK, ALPHA)
    base = load_transformer(open_checkpoint(CHECKPOINT), dtype=torch.float32)
    network = with_adapter(base, tmp_path)
    for name, one in adapted.items():
        wanted = one.layer.weight + ALPHA / RANK * one.up @ one.down
        found = network.get_submodule(name).weight
        change = (wanted - one.layer.weight).abs().max()
        assert change > 0
        assert (found - wanted).abs().max() < 0.02 * change  # bfloat16
    config = json.loads((tmp_path / "adapter_config.json").read_text(encoding="utf-8"))
    assert (config["r"], config["lora_alpha"]) == (RANK, ALPHA)


def test_the_adapter_that_comes_along_is_small_and_whole():
    tensors = load_file(adapter.MARCH / "adapter_model.safetensors")
    assert len(tensors) == 2 * 4 * 11
    assert all(bool(weight.abs().max() > 0) for weight in tensors.values())
    assert sum(file.stat().st_size for file in adapter.MARCH.iterdir()) < 250_000
