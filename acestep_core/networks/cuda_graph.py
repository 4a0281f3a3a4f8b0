"""A step captured as a CUDA graph, which an NVIDIA card replays as one; nothing else here names CUDA."""

import logging
import time
from collections.abc import Callable
from functools import lru_cache

import torch
from torch import nn

log = logging.getLogger("acestep-graph")

IDLE = 0.25  # a card that works on for less than this share of the time of the launches was waiting for them
WARM_UPS = 2  # so that libraries have their workspaces on the stream that is recorded
REFUSED: set[torch.device] = (
    set()
)  # a fact about the machine: what cannot record is not asked again in this process

TensorStep = Callable[[], object]  # takes and gives its tensors in place; running it again changes nothing


def can_capture(network: nn.Module, device: torch.device) -> bool:
    """Whether steps of a network may be captured: all of its weights lie on an NVIDIA card, which has not refused before.

    Deterministic algorithms wait for the card inside of a step, which a CUDA graph cannot.
    """
    nvidia = device.type == "cuda" and torch.version.hip is None
    return (
        nvidia
        and device not in REFUSED
        and not torch.are_deterministic_algorithms_enabled()
        and all(weight.device == device for weight in network.parameters())
    )


def waits_for_launches(step: TensorStep) -> bool:
    """Run a step, and tell whether the card was done as soon as its last operator was launched.

    Then it is fast enough to wait for the next launch most of the time, which a recording spares it. Where it is still
    busy, launches cost nothing, and a recording would only take memory.
    """
    began = time.perf_counter()
    step()
    launched = time.perf_counter()
    torch.cuda.current_stream().synchronize()
    return time.perf_counter() - launched < IDLE * (launched - began)


def recorded(step: TensorStep) -> TensorStep | None:
    """The step as a CUDA graph, or None where the device refuses."""
    current = torch.cuda.current_stream()
    try:
        return recording(step)
    except RuntimeError as fault:  # old drivers, exotic allocators, no memory left for a second copy
        torch.cuda.set_stream(current)  # a recording that fails may leave its own stream behind
        if not isinstance(fault, torch.OutOfMemoryError):  # another time there may be room
            REFUSED.add(current.device)
        log.warning("Steps run operator by operator, for they cannot be recorded: %s", fault)
        return None


def recording(step: TensorStep) -> TensorStep:
    """Capture the step as a CUDA graph; calling that launches the same kernels on the same addresses.

    So it reads whatever the step's tensors hold by then, and writes where the step wrote. Recordings of a device share
    what libraries keep for its side stream, so they are replayed one after the other, by one thread.
    """
    current = torch.cuda.current_stream()
    aside = side_stream(current.device)
    aside.wait_stream(current)
    try:
        with torch.cuda.stream(aside):
            for _ in range(WARM_UPS):
                step()
    finally:  # whoever stops it must not free what is still written to
        current.wait_stream(aside)
    graph, of_this_thread = torch.cuda.CUDAGraph(), "thread_local"  # others go on with their work
    with torch.cuda.graph(graph, stream=aside, capture_error_mode=of_this_thread):
        step()
    return graph.replay


@lru_cache
def side_stream(device: torch.device) -> torch.cuda.Stream:
    """The one stream of a device that is recorded, for libraries keep workspaces for each."""
    return torch.cuda.Stream(device)
