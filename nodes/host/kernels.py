"""oneDNN, by which torch computes on processors, writes no kernel any more in a thread where memory once ran out as it did."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from ...acestep_core.errors import is_kernel_lost

log = logging.getLogger("acestep-graph")

THREAD = threading.local()  # oneDNN keeps the fault for each thread, and nothing clears it


@contextmanager
def kept_going() -> Iterator[None]:
    """Compute without oneDNN in a thread that has lost it: slower, but until ComfyUI is restarted nothing else plays."""
    before = torch.backends.mkldnn.enabled
    if is_lost():
        torch.backends.mkldnn.enabled = False
    try:
        yield
    except Exception as fault:
        note_lost(fault)
        raise
    finally:
        if is_lost():  # otherwise the switch is not touched: a host may have frozen it
            torch.backends.mkldnn.enabled = before


def note_lost(fault: BaseException) -> None:
    """Go without oneDNN at once if this is how it gets lost. For those, too, who go on after memory ran out."""
    if is_kernel_lost(fault) and not is_lost():
        THREAD.lost = True
        torch.backends.mkldnn.enabled = False
        log.warning(
            "Memory ran out while oneDNN wrote a kernel, which it never gets over. ACE-Step computes without it from now on, slower; restart ComfyUI to have it back."
        )


def is_lost() -> bool:
    """Whether this thread gets no new kernel of oneDNN."""
    return getattr(THREAD, "lost", False)
