"""How stored tensors become effective ones, and what files that hold none are called."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save, save_file
from torch import Tensor

from acestep_core.checkpoints import tensor_file
from acestep_core.checkpoints.tensor_file import TensorFile
from acestep_core.checkpoints.weights import Weights
from acestep_core.errors import UnsupportedCheckpointError

FP8 = (torch.float8_e4m3fn, torch.float8_e5m2)


def some_tensors() -> dict[str, Tensor]:
    return {"left.weight": torch.randn(4, 3, generator=torch.Generator().manual_seed(0))}


def written(folder: Path, tensors: dict[str, Tensor], metadata: dict[str, str] | None = None) -> Path:
    path = folder / "some.safetensors"
    save_file(tensors, path, metadata=metadata)
    return path


@pytest.mark.parametrize(
    ("scale", "input_scale"), [("scale_weight", "scale_input"), ("weight_scale", "input_scale")]
)
@pytest.mark.parametrize("fp8", FP8)
def test_a_scaled_weight_is_the_stored_one_times_its_scale(tmp_path, scale, input_scale, fp8):
    stored = some_tensors()["left.weight"].to(fp8)
    tensors = {
        "left.weight": stored,
        f"left.{scale}": torch.tensor(0.25),
        f"left.{input_scale}": torch.tensor(3.0),
        "left.bias": torch.ones(4),
        "scaled_fp8": torch.zeros(2).to(fp8),
    }
    weights = Weights.open(written(tmp_path, tensors))

    assert weights.keys() == {"left.weight", "left.bias"}
    assert weights.dtype("left.weight") == weights["left.weight"].dtype == torch.bfloat16
    assert torch.equal(weights.read("left.weight", torch.float32), stored.float() * 0.25)
    assert torch.equal(weights["left.weight"], (stored.float() * 0.25).bfloat16())


def test_scales_work_under_a_prefix_and_after_renaming(tmp_path):
    stored = some_tensors()["left.weight"].to(FP8[0])
    tensors = {
        "model.left.weight": stored,
        "model.left.scale_weight": torch.tensor([2.0]),
        "model.scaled_fp8": torch.zeros(0).to(FP8[0]),
    }
    weights = Weights.open(written(tmp_path, tensors)).under("model.").renamed(lambda key: "new." + key)

    assert torch.equal(weights.read("new.left.weight", torch.float32), stored.float() * 2)


def test_a_scale_may_be_given_for_every_row(tmp_path):
    stored, scale = some_tensors()["left.weight"].to(FP8[0]), torch.arange(1.0, 5)[:, None]
    weights = Weights.open(written(tmp_path, {"left.weight": stored, "left.weight_scale": scale}))

    assert torch.equal(weights.read("left.weight", torch.float32), stored.float() * scale)


def test_headers_and_layers_may_describe_fp8(tmp_path):
    described = {"format_version": "1.0", "layers": {"left": {"format": "float8_e4m3fn"}}}
    layer = torch.tensor(list(b'{"format": "float8_e4m3fn"}'), dtype=torch.uint8)
    tensors = {
        "left.weight": torch.ones(2, 2).to(FP8[0]),
        "left.weight_scale": torch.tensor(0.5),
        "left.comfy_quant": layer,
    }
    weights = Weights.open(written(tmp_path, tensors, {"_quantization_metadata": json.dumps(described)}))

    assert weights.keys() == {"left.weight"}
    assert torch.equal(weights["left.weight"], torch.full((2, 2), 0.5, dtype=torch.bfloat16))


@pytest.mark.parametrize(
    ("tensors", "metadata", "said"),
    [
        ({"a.weight_scale_2": torch.ones(1)}, {}, "quantised as nvfp4"),
        ({}, {"_quantization_metadata": '{"layers": {"a": {"format": "mxfp8"}}}'}, "quantised as mxfp8"),
        ({}, {"_quantization_metadata": "{"}, "broken JSON"),
        (
            {"a.comfy_quant": torch.tensor(list(b'{"format": "int8"}'), dtype=torch.uint8)},
            {},
            "quantised as int8",
        ),
        (
            {"a.weight": torch.ones(4, 2, dtype=torch.int8), "a.weight_scale": torch.ones(1)},
            {},
            "quantised in an unknown way: a.weight is torch.int8",
        ),
        ({"a.weight": torch.ones(4, 2), "a.weight_scale": torch.ones(2, 2)}, {}, r"scale of shape \[2, 2\]"),
    ],
)
def test_other_quantisations_are_refused_by_name(tmp_path, tensors, metadata, said):
    path = written(tmp_path, {"b.weight": torch.ones(2), **tensors}, metadata)

    with pytest.raises(UnsupportedCheckpointError, match=said):
        Weights.open(path)


def test_a_scale_without_its_weight_is_not_swept_away(tmp_path):
    weights = Weights.open(written(tmp_path, {"a.bias": torch.ones(1), "a.scale_weight": torch.ones(1)}))

    assert "a.scale_weight" in weights


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"<!DOCTYPE html><html>" + b"x" * 4000, "is a web page"),
        (b"\n  <html>" + b"x" * 4000, "is a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n", "is a git-lfs pointer"),
        (b"PK\x03\x04" + bytes(500), "is a PyTorch pickle"),
        (b"\x80\x02}q\x00." + b"x" * 500, "is a PyTorch pickle"),
        (b"GGUF" + bytes(500), "is a GGUF file"),
        (save(some_tensors())[:100], "cut off or damaged"),
        (save(some_tensors())[:-8], "cut off or damaged"),
        (b"abc", "cut off or damaged"),
    ],
)
def test_a_file_that_holds_no_weights_is_called_what_it_is(tmp_path, content, said):
    path = tmp_path / "some.safetensors"
    path.write_bytes(content)

    with pytest.raises(UnsupportedCheckpointError, match=said) as caught:
        Weights.open(path)
    assert "some.safetensors" in caught.value.problem


@pytest.mark.parametrize("name", ["missing.safetensors", "."])
def test_a_path_without_a_file_is_refused(tmp_path, name):
    with pytest.raises(UnsupportedCheckpointError, match="is not a file"):
        Weights.open(tmp_path / name)


def test_a_number_format_that_torch_cannot_multiply_is_refused(tmp_path):
    header = json.dumps({"a.scale": {"dtype": "F8_E8M0", "shape": [8], "data_offsets": [0, 8]}}).encode()
    (tmp_path / "some.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(8))

    with pytest.raises(UnsupportedCheckpointError, match=r"stores a.scale as F8_E8M0"):
        Weights.open(tmp_path / "some.safetensors")


def test_a_header_is_quoted_in_short(tmp_path):
    path = tmp_path / "a.safetensors"
    header = b'{"a": "' + b"9" * 5_000 + b'"}'
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(UnsupportedCheckpointError, match="cut off or damaged") as refused:
        TensorFile(path).open()
    assert len(str(refused.value)) < 500


def test_memory_that_runs_out_is_no_damage_of_the_file(tmp_path, monkeypatch):
    def full(*_, **__):
        raise tensor_file.SafetensorError("Cannot allocate memory (os error 12)")

    path = written(tmp_path, some_tensors())
    monkeypatch.setattr(tensor_file, "safe_open", full)
    with pytest.raises(MemoryError):
        TensorFile(path).open()
