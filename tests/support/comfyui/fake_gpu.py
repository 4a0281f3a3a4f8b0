"""Graphics cards that do not exist, for ComfyUI's memory management on a machine that has none.

    with pretend_gpu(total_mb=40) as device:   cpu:0 counts as a card of that size: real numbers, real partial loads
    with fake_gpu(total_mb=4096) as device:    every operator checks devices and shapes; nothing is computed or stored

`state` names a VRAMState of ComfyUI: LOW_VRAM is --lowvram, NO_VRAM --novram, HIGH_VRAM --highvram. Networks and their patchers are made inside of the block. Needs ComfyUI in the process (fixture `pack` or `host`).
"""

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch._subclasses import FakeTensor, FakeTensorMode
from torch._subclasses.fake_tensor import unset_fake_temporarily
from torch.utils._python_dispatch import TorchDispatchMode

MB = 1024 * 1024
ROOM_ELSEWHERE = 64 * 1024 * MB
BACKEND = "fakegpu"


@contextlib.contextmanager
def pretend_gpu(
    total_mb: float, inference_mb: float = 1, state: str = "NORMAL_VRAM"
) -> Iterator[torch.device]:
    """cpu:0 as a card: unequal to cpu, but its tensors lie on the CPU and give the CPU's numbers."""
    device = torch.device("cpu", 0)
    with managed(device, total_mb, inference_mb, state) as manager:
        plain = manager.is_device_cpu
        with replaced(manager, is_device_cpu=lambda d: d != device and plain(d)):
            yield device


@contextlib.contextmanager
def fake_gpu(total_mb: float, inference_mb: float = 1, state: str = "NORMAL_VRAM") -> Iterator[torch.device]:
    """A card that exists nowhere; a tensor left on another device raises at the operator that meets it."""
    device = backend_device()
    plain = torch.tensor
    with torch.device("meta"):
        plain(0)  # torch remembers its constructors when it first meets a device context: not the one below

    def tensor(data: Any, *, dtype: torch.dtype | None = None, device: Any = None) -> torch.Tensor:
        made = plain(data, dtype=dtype)  # with a device of its own it would go around FakeTensorMode
        return made if device is None else torch.empty(made.shape, dtype=made.dtype).to(device)

    with contextlib.ExitStack() as stack:
        stack.enter_context(managed(device, total_mb, inference_mb, state))
        stack.enter_context(replaced(nn.Module, to=move_module))
        for name in [name for name in sys.modules if name.endswith(".nodes.host.runtime")]:
            stack.enter_context(
                replaced(sys.modules[name], refuse_broken=lambda *weights: None)
            )  # there are no numbers
        stack.enter_context(replaced(torch, tensor=tensor))
        stack.enter_context(replaced(FakeTensor, numpy=lambda self: np.zeros(self.shape, np.float32)))
        stack.enter_context(FakeTensorMode())
        stack.enter_context(torch.no_grad())
        yield device


class Watch(TorchDispatchMode):
    """Keeps what the host reads from a fake card, and answers what code asks of numbers that do not exist.

    The answers let every check pass: yes, all are finite, and 0 are broken; a number is 1.0, a whole one 0 if not said.
    """

    def __init__(self, card: torch.device) -> None:
        super().__init__()
        self.asked = 0  # numbers for which the card had to be waited for
        self.fetched: list[tuple[int, ...]] = []  # shapes of tensors that were copied from the card
        self.sent: list[tuple[int, ...]] = []  # and to it
        self.whole = 0  # what a whole number is
        self._card = card

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        aten = torch.ops.aten
        if func is aten._local_scalar_dense.default:
            self.asked += args[0].device == self._card
            if args[0].is_floating_point():
                return 1.0
            return True if args[0].dtype == torch.bool else self.whole
        result = func(*args, **(kwargs or {}))
        copied = args[1] if func is aten.copy_.default else args[0] if func is aten._to_copy.default else None
        if copied is not None and (copied.device == self._card) != (result.device == self._card):
            (self.fetched if copied.device == self._card else self.sent).append(tuple(copied.shape))
        return result


def real(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, computing with numbers although a fake card is there; for what makes plain numbers."""

    def computed(*args: Any, **words: Any) -> Any:
        with unset_fake_temporarily():
            return function(*args, **words)

    return computed


@contextlib.contextmanager
def managed(
    device: torch.device, total_mb: float, inference_mb: float, state: str = "NORMAL_VRAM"
) -> Iterator[Any]:
    """ComfyUI's memory management, made to believe in one card of that size; it starts and ends with nothing loaded."""
    import comfy.model_management as mm

    def free(where: torch.device | None = None, torch_free_too: bool = False) -> Any:
        room = total_mb * MB - loaded_bytes(device) if where in (None, device) else ROOM_ELSEWHERE
        return (room, room) if torch_free_too else room

    def total(where: torch.device | None = None, torch_total_too: bool = False) -> Any:
        room = total_mb * MB if where in (None, device) else ROOM_ELSEWHERE
        return (room, room) if torch_total_too else room

    pretended: dict[str, Any] = {
        "get_free_memory": free,
        "get_total_memory": total,
        "get_torch_device": lambda: device,
        "vram_state": mm.VRAMState[state],
        "cpu_state": mm.CPUState.GPU,
        "should_use_fp16": lambda *args, **words: True,
        "should_use_bf16": lambda *args, **words: True,
        "minimum_inference_memory": lambda: inference_mb * MB,
        "extra_reserved_memory": lambda: 0,
        "MIN_WEIGHT_MEMORY_RATIO": 0.0,
        "soft_empty_cache": lambda force=False: None,
    }
    mm.unload_all_models()
    with replaced(mm, **pretended):
        try:
            yield mm
        finally:
            mm.current_loaded_models.clear()


@contextlib.contextmanager
def replaced(owner: Any, **attributes: Any) -> Iterator[None]:
    """Other attributes for the length of a block."""
    saved = {name: getattr(owner, name) for name in attributes}
    for name, value in attributes.items():
        setattr(owner, name, value)
    try:
        yield
    finally:
        for name, value in saved.items():
            setattr(owner, name, value)


def loaded_bytes(device: torch.device) -> int:
    """Weights that ComfyUI keeps on a device now."""
    import comfy.model_management as mm

    loaded = (
        entry for entry in mm.current_loaded_models if entry.model is not None and entry.device == device
    )
    return sum(entry.model.loaded_size() for entry in loaded)


def backend_device() -> torch.device:
    """The device of torch's experimental Python backend, registered once per process."""
    from torch.utils import backend_registration as registration

    setup = getattr(registration, "_setup_privateuseone_for_python_backend", None)
    dummy = getattr(registration, "_DummyBackendModule", None)
    if setup is None or dummy is None:
        pytest.skip(f"torch {torch.__version__} has no Python backend to make a device with")

    class Module(dummy):
        def get_amp_supported_dtype(self) -> list[torch.dtype]:  # transformers opens autocast contexts
            return [torch.float16, torch.bfloat16]

    if torch._C._get_privateuse1_backend_name() != BACKEND:
        setup(BACKEND, backend_module=Module())
    return torch.device(BACKEND, 0)


def move_module(self: nn.Module, *args: Any, **words: Any) -> nn.Module:
    """nn.Module.to for fake parameters, which cannot be swapped in place: they are replaced."""
    device, dtype = words.get("device"), words.get("dtype")
    for given in args:
        if isinstance(given, torch.dtype):
            dtype = given
        elif isinstance(given, torch.device | str):
            device = given

    def moved(tensor: torch.Tensor) -> torch.Tensor:
        cast = dtype if dtype is not None and tensor.is_floating_point() else tensor.dtype
        return tensor.to(device=tensor.device if device is None else device, dtype=cast)

    for module in self.modules():
        replace_all(module._parameters, lambda p: nn.Parameter(moved(p.data), requires_grad=False))
        replace_all(module._buffers, moved)
    return self


def replace_all(tensors: dict[str, Any], new: Callable[[Any], Any]) -> None:
    """Put something else in place of every tensor that is there."""
    for name, tensor in tensors.items():
        if tensor is not None:
            tensors[name] = new(tensor)
