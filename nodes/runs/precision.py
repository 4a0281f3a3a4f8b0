"""Networks as they are loaded: in which precision they are kept, and in which they compute."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from ...acestep_core.errors import InvalidInputError
from ..host import runtime
from ..host.runtime import WEIGHT_DTYPES, Managed, Role

PRECISE = frozenset({Role.CODEC})  # small, and rounds to codes: never kept in fp8


def dtype_of(name: str, role: Role) -> torch.dtype | None:
    """The dtype that the picker of weights names, None for auto."""
    wanted = WEIGHT_DTYPES.get(name)
    if wanted is not None and not runtime.keeps(role, wanted):
        raise InvalidInputError(
            f"The device {role.device} cannot hold {name} weights.", "Choose auto, fp16 or fp32."
        )
    return wanted


def network(
    role: Role,
    in_file: torch.dtype,
    wanted: torch.dtype | None,
    load: Callable[[torch.dtype | None], nn.Module],
    around: Callable[[Any, torch.dtype], nn.Module] | None = None,
) -> Managed:
    """Load a network in the precision that the picker wants, None for auto.

    in_file: the dtype of its weights in the file. load: reads them in a dtype, None for the file's own.
    around: makes the object that ComfyUI's own nodes use, from the network and what it computes in.
    """
    computing = runtime.compute_dtype(role, wanted)
    module = load(storage(role, in_file, wanted, computing))
    module = module if role in PRECISE else linears_in(module, wanted)
    return Managed(module, role, computing, around=around(module, computing) if around else None)


def storage(
    role: Role, in_file: torch.dtype, wanted: torch.dtype | None, computing: torch.dtype
) -> torch.dtype | None:
    """The dtype to read weights in: what they compute in, or None, the file's, where it is smaller and memory is short.

    Main memory is not: a CPU gets fp8 weights alone as they are. Scaled fp8 counts as what its scale makes of it.
    """
    smaller = in_file.itemsize < computing.itemsize and runtime.keeps(role, in_file)
    short = in_file.itemsize == 1 or not runtime.on_cpu(role)
    return None if wanted is None and smaller and short else computing


def slow_remark(wanted: torch.dtype | None, managed: Managed) -> list[str]:
    """What to tell where a dtype was asked for that is slow on this processor."""
    if wanted is torch.float16 and managed.dtype is torch.float32:
        return ["fp16 was asked for, but is slow on CPUs: fp32 takes its place."]
    rounded = managed.dtype is torch.bfloat16 and managed.device.type == "cpu"
    if rounded and runtime.cpu_dtype() is not torch.bfloat16:
        return [
            "bf16 was asked for, but this processor computes in it several times more slowly: choose auto."
        ]
    return []


def linears_in(module: nn.Module, wanted: torch.dtype | None) -> nn.Module:
    """With an fp8 dtype, the matrices of linear layers are kept in it; all else stays precise."""
    if wanted is None or wanted.itemsize > 1:
        return module
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            layer.weight = nn.Parameter(layer.weight.to(wanted), requires_grad=False)
    return module
