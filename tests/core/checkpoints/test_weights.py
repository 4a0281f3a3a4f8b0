"""Reading safetensors files, and filling modules with them."""

import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from acestep_core.checkpoints.tensor_file import TensorFile
from acestep_core.checkpoints.weights import Weights, load_exactly
from acestep_core.errors import UnsupportedCheckpointError

FP8 = (torch.float8_e4m3fn, torch.float8_e5m2)
FLOATS = (torch.float32, torch.float16, torch.bfloat16, *FP8)


def some_tensors(dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        "left.weight": torch.randn(4, 3, generator=generator).to(dtype),
        "left.bias": torch.randn(4, generator=generator).to(dtype),
        "right.weight": torch.randn(2, 4, generator=generator).to(dtype),
    }


def written(folder: Path, tensors: dict[str, Tensor], metadata: dict[str, str] | None = None) -> Path:
    path = folder / "some.safetensors"
    save_file(tensors, path, metadata=metadata)
    return path


def mapped_from(path: Path) -> list[range]:
    """Where this process has the file in its memory."""
    lines = [line.split() for line in Path("/proc/self/maps").read_text().splitlines()]
    spans = [line[0].split("-") for line in lines if line[-1] == str(path)]
    return [range(int(start, 16), int(end, 16)) for start, end in spans]


class Pair(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.left = nn.Linear(3, 4)
        self.right = nn.Linear(4, 2, bias=False)


@pytest.mark.parametrize("dtype", FLOATS)
def test_what_was_written_is_read_back_in_the_files_dtype(tmp_path, dtype):
    tensors = some_tensors(dtype)
    weights = Weights.open(written(tmp_path, tensors, {"format": "pt"}))

    assert weights.keys() == tensors.keys()
    assert weights.metadata == {"format": "pt"}
    for key, tensor in tensors.items():
        assert weights.dtype(key) == weights[key].dtype == dtype
        assert weights.shape(key) == tensor.shape
        assert torch.equal(weights[key].float(), tensor.float())
    assert weights.nbytes() == sum(tensor.nbytes for tensor in tensors.values())


def test_reading_twice_gives_the_same_memory(tmp_path):
    weights = Weights.open(written(tmp_path, some_tensors()))

    assert weights["left.weight"].data_ptr() == weights["left.weight"].data_ptr()
    assert weights.under("left.")["weight"].data_ptr() == weights["left.weight"].data_ptr()


def test_writing_into_a_tensor_does_not_change_the_file(tmp_path):
    path = written(tmp_path, some_tensors())
    before = path.read_bytes()
    Weights.open(path)["left.weight"].add_(1)

    assert path.read_bytes() == before


def test_views_show_the_same_tensors_under_other_names(tmp_path):
    tensors = some_tensors()
    weights = Weights.open(written(tmp_path, tensors))

    assert weights.under("left.").keys() == {"weight", "bias"}
    assert weights.only("left.").keys() == {"left.weight", "left.bias"}
    assert weights.renamed(str.upper).keys() == {key.upper() for key in tensors}
    assert weights.under("left.").joined(weights.only("right.")).keys() == {"weight", "bias", "right.weight"}
    assert weights.keys() == tensors.keys()
    assert not weights.under("nowhere.")


def test_two_tensors_cannot_get_one_name(tmp_path):
    weights = Weights.open(written(tmp_path, some_tensors()))

    with pytest.raises(UnsupportedCheckpointError, match="two tensors that both mean same"):
        weights.renamed(lambda _: "same")


def test_two_shards_may_not_hold_the_same_tensor(tmp_path):
    paths = [tmp_path / name for name in ("a.safetensors", "b.safetensors")]
    for path in paths:
        save_file({"same": torch.zeros(1)}, path)

    with pytest.raises(
        UnsupportedCheckpointError, match=r"b.safetensors holds same, which another shard holds too"
    ):
        Weights.open(*paths)


@pytest.mark.parametrize("stored", FLOATS)
@pytest.mark.parametrize("asked", [None, torch.float32, torch.bfloat16])
def test_a_module_gets_the_files_tensors_cast_only_if_asked(tmp_path, stored, asked):
    tensors = some_tensors(stored)
    module = load_exactly(Pair, Weights.open(written(tmp_path, tensors)), asked)

    assert not module.training
    for key, parameter in module.named_parameters():
        assert parameter.dtype == (asked or stored)
        assert not parameter.requires_grad
        assert torch.equal(parameter.float(), tensors[key].to(asked or stored).float())


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux where files are mapped")
def test_in_the_files_dtype_nothing_is_copied(tmp_path):
    path = written(tmp_path, some_tensors())
    module = load_exactly(Pair, Weights.open(path))

    spans = mapped_from(path)
    for parameter in module.parameters():
        assert any(parameter.data_ptr() in span for span in spans)


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux where files are mapped")
def test_after_a_cast_the_file_is_let_go(tmp_path):
    path = written(tmp_path, some_tensors())
    module = load_exactly(Pair, Weights.open(path), torch.bfloat16)

    assert next(module.parameters()).dtype == torch.bfloat16
    assert not mapped_from(path)


def test_casting_opens_the_file_anew_before_much_of_it_is_in_memory(tmp_path, monkeypatch):
    tensors = {str(number): torch.full((25,), float(number)) for number in range(8)}  # 100 bytes each
    weights = Weights.open(written(tmp_path, tensors))
    monkeypatch.setattr("acestep_core.checkpoints.weights.STREAMED_BYTES", 250)
    opened = []
    monkeypatch.setattr(
        TensorFile, "open", lambda self, once=TensorFile.open: opened.append(self) or once(self)
    )

    for dtype, openings in ((torch.bfloat16, [1, 1, 1, 2, 2, 2, 3, 3]), (None, [1] * 8)):
        opened.clear()
        seen = [(len(opened), key, value) for key, value in weights.stream(dtype)]

        assert [count for count, _, _ in seen] == openings
        assert {key: value.tolist() for _, key, value in seen} == {k: t.tolist() for k, t in tensors.items()}
        assert {value.dtype for _, _, value in seen} == {dtype or torch.float32}


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux where files are mapped")
def test_while_it_casts_the_file_is_mapped_once(tmp_path, monkeypatch):
    path = written(tmp_path, some_tensors())
    weights = Weights.open(path)
    monkeypatch.setattr("acestep_core.checkpoints.weights.STREAMED_BYTES", 1)
    before = len(mapped_from(path))

    assert [len(mapped_from(path)) - before for _ in weights.stream(torch.bfloat16)] == [1, 1, 1]


def test_integers_keep_their_dtype(tmp_path):
    weights = Weights.open(written(tmp_path, {"count": torch.tensor([3])}))

    assert dict(weights.stream(torch.bfloat16))["count"].dtype == torch.int64


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"left.bias": None}, r"1 weights missing \(left.bias\)"),
        ({"extra": torch.zeros(1)}, r"1 weights not understood \(extra\)"),
        ({"left.bias": torch.zeros(7)}, r"1 weights of another shape \(left.bias \[7\] instead of \[4\]\)"),
        (
            {f"extra{index}": torch.zeros(1) for index in range(9)},
            r"9 weights not understood \(extra0, extra1, extra2, extra3 and 5 more\)",
        ),
    ],
)
@pytest.mark.parametrize("in_file", [True, False])
def test_a_file_that_does_not_fit_is_refused_with_what_differs(tmp_path, change, said, in_file):
    tensors = {key: value for key, value in {**some_tensors(), **change}.items() if value is not None}
    given = Weights.open(written(tmp_path, tensors)) if in_file else tensors

    with pytest.raises(UnsupportedCheckpointError, match=said) as caught:
        load_exactly(Pair, given)
    assert caught.value.problem.startswith("Pair: ")


def test_a_module_that_stays_hollow_is_our_own_fault():
    class Hollow(Pair):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("table", torch.zeros(3), persistent=False)

    with pytest.raises(AssertionError, match=r"never filled: .*table"):
        load_exactly(Hollow, some_tensors())
