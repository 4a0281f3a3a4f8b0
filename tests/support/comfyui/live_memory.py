"""Counts the bytes that are alive on a device, operator by operator; with `fake_gpu` for networks of any size."""

import weakref
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class LiveMemory(TorchDispatchMode):
    """`peak` is the most that the outputs of operators took together, in bytes; `known` tensors do not count."""

    def __init__(self, device: torch.device, known: Iterable[Tensor] = ()) -> None:
        super().__init__()
        self.peak = self.now = 0
        self._device = device
        self._seen = weakref.WeakSet(tensor.untyped_storage() for tensor in known)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor) and leaf.device == self._device:
                self._meet(leaf.untyped_storage())
        return result

    def _meet(self, storage: torch.UntypedStorage) -> None:
        if storage in self._seen:
            return
        self._seen.add(storage)
        size = storage.nbytes()
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._leave, size)

    def _leave(self, size: int) -> None:
        self.now -= size


def fused_attention(query: Tensor, key: Tensor, value: Tensor, **words: Any) -> Tensor:
    """What a card's fused kernel makes of memory: the output, and a number for each query and head."""
    assert key.shape[1] == query.shape[1] or query.dtype.itemsize == 2, "fp32 is fused with equal heads only"
    per_query = torch.empty(query.shape[:-1], dtype=torch.float32, device=query.device)
    out = torch.empty((*query.shape[:-1], value.shape[-1]), dtype=query.dtype, device=query.device)
    del per_query
    return out
