"""Weights of a folder, whole or in shards."""

import json

import pytest
import torch

from acestep_core.checkpoints.shards import open_folder
from acestep_core.errors import UnsupportedCheckpointError
from support.tiny.checkpoint import write_shards


def some_tensors() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        "left.weight": torch.randn(4, 3, generator=generator),
        "left.bias": torch.randn(4, generator=generator),
        "right.weight": torch.randn(2, 4, generator=generator),
    }


@pytest.mark.parametrize("shards", [1, 2, 3])
def test_shards_together_are_the_whole(tmp_path, shards):
    tensors = some_tensors()
    write_shards(tensors, tmp_path, shards)
    weights = open_folder(tmp_path, "model")

    assert weights.keys() == tensors.keys()
    assert all(torch.equal(weights[key], tensors[key]) for key in tensors)
    assert {key: tensor.tolist() for key, tensor in weights.stream()} == {
        k: t.tolist() for k, t in tensors.items()
    }


def test_a_missing_shard_is_named(tmp_path):
    write_shards(some_tensors(), tmp_path, 3)
    (tmp_path / "model-00002-of-00003.safetensors").unlink()

    with pytest.raises(
        UnsupportedCheckpointError, match=r"lacks model-00002-of-00003.safetensors of its 3 shards"
    ):
        open_folder(tmp_path, "model")


def test_a_tensor_that_only_the_index_knows_is_named(tmp_path):
    write_shards(some_tensors(), tmp_path, 2)
    index = tmp_path / "model.safetensors.index.json"
    content = json.loads(index.read_text())
    content["weight_map"]["left.extra"] = "model-00001-of-00002.safetensors"
    index.write_text(json.dumps(content))

    with pytest.raises(UnsupportedCheckpointError, match=r"names left.extra, which the shards do not hold"):
        open_folder(tmp_path, "model")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "cannot be read"),
        ("[]", "is not a JSON object"),
        ("{}", "does not say which shard"),
        ('{"weight_map": {}}', "does not say which shard"),
        ('{"weight_map": {"a": "../elsewhere.safetensors"}}', "does not say which shard"),
    ],
)
def test_a_broken_index_is_refused(tmp_path, content, said):
    (tmp_path / "model.safetensors.index.json").write_text(content)

    with pytest.raises(UnsupportedCheckpointError, match=said):
        open_folder(tmp_path, "model")


def test_a_folder_without_weights_says_what_it_lacks(tmp_path):
    with pytest.raises(
        UnsupportedCheckpointError, match=r"neither model.safetensors nor model.safetensors.index"
    ):
        open_folder(tmp_path, "model")
