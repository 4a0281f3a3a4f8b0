"""What a network's multiplications and additions come to, whichever way it attends."""

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from unittest.mock import patch

import torch
from torch.utils.flop_counter import FlopCounterMode

from acestep_core.networks import attention


def counted(work: Callable[[], object]) -> int:
    """The multiplications and additions of some work; of attention those that it takes, not what a form of it adds."""
    unknown = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu  # to torch's counter
    with kernel(), FlopCounterMode(display=False, custom_mapping={unknown: of_attention}) as counter:
        work()
    return counter.get_total_flops()


def kernel() -> AbstractContextManager[object]:
    """A context in which attention is torch's kernel on every processor."""
    return patch.object(attention, "has_instructions_alone", lambda: False)


def of_attention(q: Sequence[int], k: Sequence[int], *_: object, **__: object) -> int:
    """Every query [B, H, N, D] with every key [B, G, M, D], and every weight with its value."""
    return 4 * math.prod(q) * k[2]
