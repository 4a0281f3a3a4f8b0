"""What lies in one safetensors file: names, shapes, and how a stored tensor becomes the effective one."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ..errors import UnsupportedCheckpointError, is_full
from ..files import is_file, parse_json

DTYPES = MappingProxyType(
    {
        "F64": torch.float64,
        "F32": torch.float32,
        "F16": torch.float16,
        "BF16": torch.bfloat16,
        "F8_E4M3": torch.float8_e4m3fn,
        "F8_E5M2": torch.float8_e5m2,
        "I64": torch.int64,
        "I32": torch.int32,
        "I16": torch.int16,
        "I8": torch.int8,
        "U8": torch.uint8,
        "BOOL": torch.bool,
    }
)
DEQUANTISED = torch.bfloat16  # what a scaled fp8 weight becomes when no dtype is asked for
SCALES = (".scale_weight", ".weight_scale")  # beside `<layer>.weight`: the older spelling, the newer one
INPUT_SCALES = (".scale_input", ".input_scale")  # for fp8 arithmetic; they say nothing about the weight
DESCRIPTION = ".comfy_quant"  # JSON in bytes, one per layer; the header may say the same for all layers
MAX_DESCRIPTION = 1 << 16  # bytes; published ones have dozens
MARKERS = ("scaled_fp8",)  # an empty tensor
FP8_FORMATS = frozenset({"float8_e4m3fn", "float8_e5m2"})
IMPOSTORS = MappingProxyType(  # how a file begins that is no safetensors file
    {
        b"version https://git-lfs": "is a git-lfs pointer, not the weights",
        b"<": "is a web page, not the weights",
        b"PK\x03\x04": "is a PyTorch pickle",
        b"\x80\x02": "is a PyTorch pickle",
        b"GGUF": "is a GGUF file",
    }
)
DOWNLOAD_AGAIN = (
    "Download the .safetensors file again and compare its size with the one on the download page."
)
LONGEST_NAME = 120  # of a tensor in a message; a stranger's may have megabytes
OTHER_PRECISION = "Choose an fp32, fp16, bf16 or fp8 version of the checkpoint."


class TensorFile:
    """One safetensors file, mapped into memory when the first of its tensors is read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def open(self) -> Any:
        """A new mapping of the file, to be dropped when done."""
        if not is_file(self.path):
            raise UnsupportedCheckpointError(
                f"{self.path} is not a file.", "Choose a .safetensors file that exists."
            )
        try:
            return safe_open(str(self.path), framework="pt")
        except SafetensorError as fault:
            if is_full(fault):
                raise MemoryError(str(fault)) from fault
            raise UnsupportedCheckpointError(
                f"{self.path.name} {self.verdict() or f'is cut off or damaged ({fault!s:.200})'}.",
                DOWNLOAD_AGAIN,
            ) from fault

    def verdict(self) -> str | None:
        """What the file is instead, if its beginning tells."""
        with self.path.open("rb") as stream:
            start = stream.read(64)
        verdicts = (
            verdict for beginning, verdict in IMPOSTORS.items() if start.lstrip().startswith(beginning)
        )
        return next(verdicts, None) if start else "is empty"

    @cached_property
    def mapped(self) -> Any:
        """The mapping that single reads share."""
        return self.open()

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Every stored tensor, scales and markers included."""
        return tuple(self.mapped.keys())

    @cached_property
    def metadata(self) -> Mapping[str, str]:
        """What the header says besides names and shapes."""
        return MappingProxyType(self.mapped.metadata() or {})

    def entries(self) -> dict[str, "Entry"]:
        """The effective tensors: scales are tied to their weights and have no entry of their own."""
        stored = {name: self.stored(name) for name in self.names}
        refuse_other_formats(stored, self)
        return dequantising(stored)

    def stored(self, name: str) -> "Entry":
        """A tensor as it lies in the file."""
        described = self.mapped.get_slice(name)
        dtype = DTYPES.get(described.get_dtype())
        if dtype is None:
            raise UnsupportedCheckpointError(
                f"{self.path.name} stores {name} as {described.get_dtype()}.", OTHER_PRECISION
            )
        return Entry(self, name, tuple(described.get_shape()), dtype)


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """Where one tensor lies and what it looks like."""

    file: TensorFile
    name: str
    shape: tuple[int, ...]
    stored: torch.dtype
    scale: str | None = None  # the tensor of the same file that this one is multiplied with

    @property
    def dtype(self) -> torch.dtype:
        """What reading gives when no other dtype is asked for."""
        return self.stored if self.scale is None else DEQUANTISED

    @property
    def nbytes(self) -> int:
        """Memory of the tensor when no other dtype is asked for."""
        return math.prod(self.shape) * self.dtype.itemsize

    def copies(self, dtype: torch.dtype | None) -> bool:
        """Whether reading makes new memory instead of showing the file's own."""
        casts = dtype not in (None, self.stored) and self.stored.is_floating_point
        return casts or self.scale is not None

    def read(self, mapped: Any, dtype: torch.dtype | None) -> Tensor:
        """The effective tensor. Only a change of dtype makes a copy; integers keep theirs."""
        tensor = mapped.get_tensor(self.name)
        if self.scale is not None:
            return (tensor.float() * mapped.get_tensor(self.scale).float()).to(dtype or DEQUANTISED)
        return tensor.to(dtype) if dtype is not None and tensor.is_floating_point() else tensor


def dequantising(stored: Mapping[str, Entry]) -> dict[str, Entry]:
    """Tie every scale to its weight and drop what only describes the quantisation; a scale without one stays."""
    scales = {}
    for name in stored:
        layer, _, kind = name.rpartition(".")
        if f".{kind}" in SCALES and f"{layer}.weight" in stored:
            scales[f"{layer}.weight"] = name
            refuse_unscalable(stored[f"{layer}.weight"], stored[name])
    silent = (*INPUT_SCALES, DESCRIPTION)
    dropped = set(scales.values()) | {
        name for name in stored if name.endswith(silent) or name.rpartition(".")[-1] in MARKERS
    }
    return {
        name: replace(entry, scale=scales.get(name)) for name, entry in stored.items() if name not in dropped
    }


def refuse_other_formats(stored: Mapping[str, Entry], file: TensorFile) -> None:
    """Only fp8 with a scale is undone here; 4-bit and integer formats are refused by name."""
    descriptions = [description_in(entry) for name, entry in stored.items() if name.endswith(DESCRIPTION)]
    if "_quantization_metadata" in file.metadata:
        descriptions.append(file.metadata["_quantization_metadata"].encode())
    formats = set[str]()
    for description in descriptions:
        formats |= formats_in(description, file)
    if any(name.endswith(".weight_scale_2") for name in stored):
        formats.add("nvfp4")
    if foreign := formats - FP8_FORMATS:
        raise UnsupportedCheckpointError(f"{file.path.name} is quantised as {few(foreign)}.", OTHER_PRECISION)


def description_in(entry: "Entry") -> bytes:
    """The bytes of one layer's description."""
    if entry.stored is not torch.uint8 or math.prod(entry.shape) > MAX_DESCRIPTION:
        raise UnsupportedCheckpointError(
            f"{entry.file.path.name} describes its quantisation as {entry.stored} {list(entry.shape)}.",
            OTHER_PRECISION,
        )
    return bytes(entry.file.mapped.get_tensor(entry.name).flatten().tolist())


def formats_in(description: bytes, file: TensorFile) -> set[str]:
    """Names of the formats that one JSON description speaks of."""
    try:
        parsed = parse_json(description)
    except ValueError as fault:
        raise UnsupportedCheckpointError(
            f"{file.path.name} describes its quantisation in broken JSON ({fault}).", OTHER_PRECISION
        ) from fault
    layers = parsed.get("layers", {"": parsed}) if isinstance(parsed, dict) else {}
    named = layers.values() if isinstance(layers, dict) else ()
    return {f"{layer.get('format')!s:.40}" for layer in named if isinstance(layer, dict)}


def refuse_unscalable(weight: Entry, scale: Entry) -> None:
    """A scale is one number, or one per row of a floating-point weight."""
    rows = (weight.shape[0], *(1 for _ in weight.shape[1:])) if weight.shape else ()
    fits = math.prod(scale.shape) == 1 or scale.shape == rows
    if not fits or not weight.stored.is_floating_point:
        raise UnsupportedCheckpointError(
            f"{weight.file.path.name} is quantised in an unknown way: {weight.name} is {weight.stored} "
            f"with a scale of shape {list(scale.shape)}.",
            OTHER_PRECISION,
        )


def few(names: Iterable[str], limit: int = 4) -> str:
    """The first of many names, and how many more there are."""
    ordered = sorted(f"{name:.{LONGEST_NAME}}" for name in names)
    more = f" and {len(ordered) - limit} more" if len(ordered) > limit else ""
    return ", ".join(ordered[:limit]) + more
