"""Whether tensors hold numbers only, found out in one pass that makes no copy."""

import math
from collections.abc import Iterable

import torch
from torch import Tensor

from .errors import UnsupportedCheckpointError


def all_finite(tensor: Tensor) -> bool:
    """Whether nothing in it is NaN or infinite. The sum tells, but for one that overflows: then every number is looked at."""
    if not tensor.is_floating_point():
        return True
    wide = tensor if tensor.dtype.itemsize > 1 else tensor.to(torch.bfloat16)  # nothing adds up fp8
    return math.isfinite(float(wide.sum())) or bool(wide.isfinite().all())


def refuse_broken(weights: Iterable[tuple[str, Tensor]], network: str) -> None:
    """Refuse weights of which one is no number, which would make noise or silence of every song."""
    for name, weight in weights:
        if not all_finite(weight):
            raise UnsupportedCheckpointError(
                f"{network} has weights that are NaN or infinite, in {name}.",
                "Download the file again, choose bf16 or fp32 weights, or another file: a merge or a conversion of it has failed.",
            )
