"""The one module that talks to ComfyUI's engine: where weights lie, how a run is shown, how it is stopped."""

import copy
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from typing import Any
from weakref import WeakSet

import comfy.model_management as mm
import comfy.utils
import torch
from server import PromptServer
from torch import nn

from ...acestep_core.adapters.formulas import Change
from ...acestep_core.errors import DeviceFullError, is_full
from ...acestep_core.finite import refuse_broken
from .weight_patch import WeightPatch

log = logging.getLogger("acestep-graph")

WEIGHT_DTYPES = {
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
    "fp32": torch.float32,
    "fp8_e4m3fn": torch.float8_e4m3fn,
    "fp8_e5m2": torch.float8_e5m2,
}


class Linear(comfy.ops.manual_cast.Linear):
    """Shows the shapes of its weights before they are loaded; newer hosts leave them out on Windows."""

    def __init__(self, inputs: int, outputs: int, bias: bool = True, **where: Any) -> None:
        super().__init__(inputs, outputs, bias, **where)
        if not isinstance(self.weight, torch.Tensor):
            self.weight = nn.Parameter(torch.empty(outputs, inputs), requires_grad=False)
            self.bias = nn.Parameter(torch.empty(outputs), requires_grad=False) if bias else None


@dataclass(slots=True)
class Layers:
    """Layers that fetch and cast their weights for each use."""

    Linear: type[nn.Linear] = Linear
    Conv1d: type[nn.Conv1d] = comfy.ops.manual_cast.Conv1d
    ConvTranspose1d: type[nn.ConvTranspose1d] = comfy.ops.manual_cast.ConvTranspose1d
    RMSNorm: type[nn.RMSNorm] = comfy.ops.manual_cast.RMSNorm
    Embedding: type[nn.Embedding] = comfy.ops.manual_cast.Embedding


OPS = Layers()


class Role(Enum):
    """What a network does decides on which devices ComfyUI wants it."""

    TRANSFORMER = "transformer"
    CODEC = "semantic tokenizer"
    TEXT = "text encoder"
    VAE = "VAE"
    PLANNER = "planner"

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        if self is Role.TEXT:
            return mm.text_encoder_device()
        return mm.vae_device() if self is Role.VAE else mm.get_torch_device()

    @property
    def relief(self) -> str:
        """What helps where the device is too small."""
        if self is Role.VAE:
            return "Close other programs that use the card, or start ComfyUI with --cpu-vae."
        smaller = "a smaller planner, " if self is Role.PLANNER else ""
        return f"Choose fewer songs, a shorter song, {smaller}or fp8 weights, or close other programs that use the card."

    @property
    def rest_device(self) -> torch.device:
        """Where it waits."""
        if self in (Role.TEXT, Role.PLANNER):
            return mm.text_encoder_offload_device()
        return mm.vae_offload_device() if self is Role.VAE else mm.unet_offload_device()


KNOWN_GOOD: WeakSet[nn.Module] = WeakSet()  # networks whose weights were looked through


class Managed:
    """A network that ComfyUI may load, move or evict between two uses."""

    def __init__(
        self,
        module: nn.Module,
        role: Role,
        dtype: torch.dtype,
        whole: bool = False,
        around: nn.Module | None = None,
    ) -> None:
        """dtype: what it computes in. whole: its layers cannot fetch their weights, so it is never loaded in part.

        around: what ComfyUI's own nodes use, with the network inside; both have the one patcher.
        """
        self.dtype = dtype
        self.patcher = comfy.model_patcher.ModelPatcher(around or module, role.device, role.rest_device)
        self._network = module
        inside = (around or module).named_modules()
        self._place = next(f"{name}." if name else "" for name, found in inside if found is module)
        self._role = role
        self._whole = whole

    def __repr__(self) -> str:
        return f"<{type(self.network).__name__} {self.patcher.model_size() / 2**20:.0f} MiB>"

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self.patcher.load_device

    @property
    def network(self) -> Any:
        """The network wherever its weights are, to ask about sizes; `at_work` is for computing."""
        return self._network

    @property
    def room(self) -> int:
        """Bytes that a run can have on the device once everything else has left it.

        A network that leaves less than half of the device free is loaded in part, for ComfyUI fetches the rest of its
        layers one by one: a run may have half of the device in any case.
        """
        return max(self._most - self.patcher.model_size(), self._most // 2)

    def fits_beside(self, activation_bytes: int, *beside: "Managed") -> bool:
        """Whether the whole network and such a run have room on the device once everything else has left it.

        With networks beside it, all of them whole, and next to what other programs hold of the device now.
        """
        weights = sum(managed.patcher.model_size() for managed in (self, *beside))
        if not beside:
            return weights + activation_bytes <= self._most
        kept = 0 if mm.is_device_cpu(self.device) else mm.minimum_inference_memory()  # or one comes in part
        return weights + max(activation_bytes, kept) <= min(self._most, self._ours)

    @property
    def is_whole(self) -> bool:
        """Whether every weight is on the device now."""
        return self.patcher.loaded_size() >= self.patcher.model_size()

    @property
    def is_settled(self) -> bool:
        """Whether its weights are in place as they are used: none is fetched, or changed by an adapter, at each use."""
        changes = (
            (getattr(layer, "weight_function", ()), getattr(layer, "bias_function", ()))
            for layer in self.network.modules()
        )
        return self.is_whole and not any(weight or bias for weight, bias in changes)

    @property
    def _most(self) -> int:
        return int(mm.get_total_memory(self.device) - mm.extra_reserved_memory())

    @property
    def _ours(self) -> int:
        """Bytes of the device that are free, or would be if ComfyUI let every network go."""
        loaded = (entry for entry in mm.current_loaded_models if entry.device == self.device)
        return free_bytes(self.device) + sum(entry.model_loaded_memory() for entry in loaded if entry.model)

    def adapted(self, changes: Mapping[float, Mapping[str, Change]]) -> "Managed":
        """The same network with changes of its weights, by strength; they are made when it is next loaded."""
        changed = copy.copy(self)
        changed.patcher = self.patcher.clone()
        for strength, group in changes.items():
            patches = {self._place + weight: WeightPatch.of(change) for weight, change in group.items()}
            taken = changed.patcher.add_patches(patches, strength)
            assert set(taken) == set(patches), "adapters are fitted to the network before they come here"
        return changed

    @contextmanager
    def at_work(self, activation_bytes: int, *beside: "Managed") -> Iterator[Any]:
        """The network with its weights brought in and so much room left to compute, for every execution anew.

        beside: networks that come in together with it, as far as there is room. What runs out of memory inside says so, and what helps; ComfyUI then unloads every network.
        """
        stop_if_asked()
        try:
            yield self.loaded(activation_bytes, *beside)
        except DeviceFullError:
            raise
        except (RuntimeError, MemoryError, OSError) as fault:
            if not is_full(fault):
                raise
            what = f"The {self._role.value} ({self.patcher.model_size() / 2**20:.0f} MiB)"
            raise DeviceFullError(
                f"{what} and its work do not fit into the memory that {self.device} has left.",
                self._role.relief,
            ) from fault

    def loaded(self, activation_bytes: int, *beside: "Managed") -> Any:
        """The network, brought in; whoever computes with it does so in `at_work`.

        All come in by one call: another one might send away what this one has brought.
        """
        group = (self, *beside)
        mm.load_models_gpu(
            [managed.patcher for managed in group],
            memory_required=activation_bytes,
            force_full_load=self._whole,
        )
        if self._whole:
            self._complete()
        for managed in group:
            managed.refuse_broken()
        return self.network

    def refuse_broken(self) -> None:
        """Refuse weights that are not finite, once: they are in memory now, and about to be read anyway."""
        if self.network not in KNOWN_GOOD:
            refuse_broken(self.network.named_parameters(), f"The {self._role.value}")
            KNOWN_GOOD.add(self.network)

    def _complete(self) -> None:
        """With --novram ComfyUI leaves every weight behind, even of a network that was to come in whole."""
        if self.patcher.loaded_size() < self.patcher.model_size():
            self.patcher.detach()
            self.patcher.partially_load(self.device, self.patcher.model_size() + 1)


def keeps(role: Role, dtype: torch.dtype) -> bool:
    """Whether a network's device can hold weights of this dtype and cast them."""
    return mm.supports_cast(role.device, dtype)


def on_cpu(role: Role) -> bool:
    """Whether a network computes in main memory."""
    return mm.is_device_cpu(role.device)


def compute_dtype(role: Role, wanted: torch.dtype | None) -> torch.dtype:
    """What a network of this role computes in on this machine. wanted: the dtype of its weights, None for auto."""
    device = role.device
    if mm.is_device_cpu(device):
        if wanted in (torch.float32, torch.bfloat16):
            return wanted
        return torch.float32 if role is Role.VAE or wanted is torch.float16 else cpu_dtype()
    if wanted in (torch.float32, torch.bfloat16, torch.float16):
        return wanted
    return torch.bfloat16 if mm.should_use_bf16(device) else torch.float32


def cpu_dtype() -> torch.dtype:
    """bf16 where the CPU has it natively; everywhere else fp32, for fp16 crawls on CPUs."""
    avx512 = getattr(torch.cpu, "_is_avx512_bf16_supported", None)  # an older torch cannot tell
    amx = getattr(torch.cpu, "_is_amx_tile_supported", None)
    native = any(probe is not None and probe() for probe in (avx512, amx))
    return torch.bfloat16 if native else torch.float32


def rest_device() -> torch.device:
    """Where tensors wait between nodes."""
    return mm.intermediate_device()


def free_bytes(device: torch.device) -> int:
    """Memory that a run may take on a device now."""
    return int(mm.get_free_memory(device))


def stop_if_asked() -> None:
    """Raise ComfyUI's interruption if the user pressed Stop."""
    mm.throw_exception_if_processing_interrupted()


class Bar:
    """A node's progress bar; every move of it is also a place to stop."""

    def __init__(self, total: int) -> None:
        self._bar = comfy.utils.ProgressBar(total)

    def move(self, done: int, total: int, preview: object = None) -> None:
        """Show `done` of `total`; preview: format, image and longest side."""
        stop_if_asked()
        self._bar.update_absolute(done, total, preview)


def tile_listener() -> Callable[[int, int], None]:
    """Shows tiles done, and stops between two of them."""
    bar = Bar(1)
    return lambda done, total: bar.move(done, total)


def caption(node: str | None, text: str) -> None:
    """A line of text under a running node, where ComfyUI runs as a server."""
    running = getattr(PromptServer, "instance", None)
    if node is not None and running is not None:
        running.send_progress_text(text, node)
