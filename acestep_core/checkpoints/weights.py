"""Tensors of checkpoints, read where they lie, and modules that are filled by them exactly or not at all."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import groupby
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from ..errors import UnsupportedCheckpointError
from .tensor_file import Entry, TensorFile, few

STREAMED_BYTES = 1 << 28  # of a file may be in memory besides the copies made of it

Network = TypeVar("Network", bound=nn.Module)


class Weights(Mapping[str, Tensor]):
    """Named tensors of one or more files; a tensor is read when it is asked for, and a view costs nothing."""

    def __init__(self, entries: Mapping[str, Entry], metadata: Mapping[str, str] | None = None) -> None:
        self._entries = MappingProxyType(dict(entries))
        self.metadata = MappingProxyType(dict(metadata or {}))

    @classmethod
    def open(cls, *paths: Path) -> "Weights":
        """All tensors of these files together; scales of fp8 weights vanish into the weights they belong to."""
        return cls.of([TensorFile(path) for path in paths])

    @classmethod
    def of(cls, files: Iterable[TensorFile]) -> "Weights":
        """All tensors of opened files together."""
        entries: dict[str, Entry] = {}
        metadata: dict[str, str] = {}
        for file in files:
            found = file.entries()
            if twice := entries.keys() & found.keys():
                raise UnsupportedCheckpointError(
                    f"{file.path.name} holds {few(twice)}, which another shard holds too.",
                    "Download the shards again into an empty folder.",
                )
            entries |= found
            metadata |= file.metadata
        return cls(entries, metadata)

    def __getitem__(self, key: str) -> Tensor:
        return self.read(key)

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: object) -> bool:
        return key in self._entries

    def read(self, key: str, dtype: torch.dtype | None = None) -> Tensor:
        """One effective tensor, in the file's dtype (then it is the file's own memory) or another."""
        entry = self._entries[key]
        return entry.read(entry.file.mapped, dtype)

    def stream(self, dtype: torch.dtype | None = None) -> Iterator[tuple[str, Tensor]]:
        """All tensors file by file; of what is copied into another dtype, little of the file stays in memory."""
        ordered = sorted(self._entries.items(), key=lambda item: str(item[1].file.path))
        for file, items in groupby(ordered, key=lambda item: item[1].file):
            mapped, copied = file.open(), 0
            for key, entry in items:
                if copied > STREAMED_BYTES:
                    mapped, copied = file.open(), 0
                yield key, entry.read(mapped, dtype)
                copied += entry.nbytes if entry.copies(dtype) else 0

    def shape(self, key: str) -> tuple[int, ...]:
        """The shape of a tensor, without reading it."""
        return self._entries[key].shape

    def dtype(self, key: str) -> torch.dtype:
        """The dtype that reading the tensor gives, without reading it."""
        return self._entries[key].dtype

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """All names with their shapes, without reading anything."""
        return {key: entry.shape for key, entry in self._entries.items()}

    def nbytes(self) -> int:
        """Memory that all tensors take in their own dtypes."""
        return sum(entry.nbytes for entry in self._entries.values())

    def under(self, prefix: str) -> "Weights":
        """Only what lies below a prefix, which is taken off."""
        return self.renamed(lambda key: key.removeprefix(prefix) if key.startswith(prefix) else None)

    def only(self, *prefixes: str) -> "Weights":
        """Only what begins with one of the prefixes, names unchanged."""
        return self.renamed(lambda key: key if key.startswith(prefixes) else None)

    def renamed(self, name_of: Callable[[str], str | None]) -> "Weights":
        """The same tensors under other names; a name of None leaves the tensor out."""
        entries: dict[str, Entry] = {}
        for key, entry in self._entries.items():
            name = name_of(key)
            if name in entries:
                raise UnsupportedCheckpointError(
                    f"{entry.file.path.name} holds two tensors that both mean {name}.",
                    "Choose a file that holds one model only.",
                )
            if name is not None:
                entries[name] = entry
        return Weights(entries, self.metadata)

    def joined(self, other: "Weights") -> "Weights":
        """These tensors and the other ones; no name may occur in both."""
        both = self.keys() & other.keys()
        assert not both, f"joined twice: {few(both)}"
        return Weights({**self._entries, **other._entries}, {**self.metadata, **other.metadata})


class Misfit(NamedTuple):
    """How the tensors of a file differ from the ones that a module wants."""

    missing: list[str]
    unexpected: list[str]
    misshapen: list[str]

    @classmethod
    def between(cls, module: nn.Module, weights: Mapping[str, Tensor]) -> "Misfit":
        """Compare names and shapes."""
        wanted, given = shapes_of(module.state_dict()), shapes_of(weights)
        differing = [key for key in wanted if key in given and given[key] != wanted[key]]
        return cls(
            missing=[key for key in wanted if key not in given],
            unexpected=[key for key in given if key not in wanted],
            misshapen=[f"{key} {list(given[key])} instead of {list(wanted[key])}" for key in differing],
        )

    def __str__(self) -> str:
        labels = ("missing", "not understood", "of another shape")
        counted = zip(self, labels, strict=True)
        return "; ".join(f"{len(names)} weights {label} ({few(names)})" for names, label in counted if names)


def load_exactly(
    make: Callable[[], Network], weights: Mapping[str, Tensor], dtype: torch.dtype | None = None
) -> Network:
    """Build a module without memory and give it the file's own tensors, cast one by one if `dtype` is another."""
    with torch.device("meta"):
        module = make().requires_grad_(False)
    misfit = Misfit.between(module, weights)
    if any(misfit):
        raise UnsupportedCheckpointError(
            f"{type(module).__name__}: {misfit}.",
            "The file belongs to another model or version; choose the one that matches.",
        )
    module.load_state_dict(dict(streamed(weights, dtype)), assign=True)
    filled = (*module.named_parameters(), *module.named_buffers())
    hollow = [name for name, tensor in filled if tensor.is_meta]
    assert not hollow, f"never filled: {hollow}"
    return module.requires_grad_(False).train(False)


def streamed(weights: Mapping[str, Tensor], dtype: torch.dtype | None = None) -> Iterator[tuple[str, Tensor]]:
    """Names and tensors of any mapping one by one, floating ones cast to `dtype` (None: as they are)."""
    if isinstance(weights, Weights):
        return weights.stream(dtype)
    return (
        (key, value.to(dtype) if dtype is not None and value.is_floating_point() else value)
        for key, value in weights.items()
    )


def shapes_of(weights: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    """The shape of every tensor; those in files are not read for it."""
    if isinstance(weights, Weights):
        return weights.shapes()
    return {key: tuple(value.shape) for key, value in weights.items()}
