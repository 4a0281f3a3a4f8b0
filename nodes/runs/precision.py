"""In which precision a network is kept and computes."""

import torch
from torch import nn

from ...acestep_core.errors import InvalidInputError
from ..host import runtime
from ..host.runtime import AUTO, WEIGHT_DTYPES, Role
from ..wires.schema import chosen


def dtype_of(name: str, role: Role) -> torch.dtype | None:
    """The dtype that the picker of weights names, None for auto."""
    wanted = WEIGHT_DTYPES.get(chosen(name, [AUTO, *WEIGHT_DTYPES], "weight dtype"))
    if wanted is not None and not runtime.keeps(role, wanted):
        raise InvalidInputError(
            f"The device {role.device} cannot hold {name} weights.", "Choose auto, fp16 or fp32."
        )
    return wanted


def storage(
    role: Role, in_file: torch.dtype, wanted: torch.dtype | None, computing: torch.dtype
) -> torch.dtype | None:
    """The dtype to read weights in: what they compute in, or None, the file's, where it is smaller and memory is short.

    Main memory is not: a CPU gets fp8 weights alone as they are. Scaled fp8 counts as what its scale makes of it.
    """
    smaller = in_file.itemsize < computing.itemsize and runtime.keeps(role, in_file)
    short = in_file.itemsize == 1 or not runtime.on_cpu(role)
    return None if wanted is None and smaller and short else computing


def instead(wanted: torch.dtype | None, computing: torch.dtype) -> list[str]:
    """What to tell about a dtype that was asked for in vain."""
    vain = wanted is torch.float16 and computing is torch.float32
    return ["fp16 was asked for, but is slow on CPUs: fp32 takes its place."] if vain else []


def kept_in(module: nn.Module, wanted: torch.dtype | None) -> nn.Module:
    """With an fp8 dtype, the matrices of linear layers are kept in it; all else stays precise."""
    if wanted is None or wanted.itemsize > 1:
        return module
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            layer.weight = nn.Parameter(layer.weight.to(wanted), requires_grad=False)
    return module
