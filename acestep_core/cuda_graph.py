"""Steps that a CUDA device runs as one recording; nothing else here names CUDA."""

import logging
from collections.abc import Callable

import torch
from torch import Tensor, nn

log = logging.getLogger("acestep-graph")

WARM_UPS = 2  # so that libraries have their workspaces before the recording


def can_capture(network: nn.Module, device: torch.device) -> bool:
    """Whether a network computes on a CUDA device where all of its weights lie already."""
    return device.type == "cuda" and all(weight.device == device for weight in network.parameters())


def recorded(step: Callable[[], Tensor]) -> Callable[[], Tensor] | None:
    """The same step as a recording, or None where the device refuses. Running it again must change nothing."""
    try:
        return recording(step)
    except RuntimeError as fault:  # old drivers, exotic allocators, no memory left for a second copy
        log.warning("The planner runs operator by operator, for its step cannot be recorded: %s", fault)
        return None


def recording(step: Callable[[], Tensor]) -> Callable[[], Tensor]:
    """Replays what the step did to the memory that it found; the answer is the same tensor each time."""
    current, aside = torch.cuda.current_stream(), torch.cuda.Stream()
    aside.wait_stream(current)
    with torch.cuda.stream(aside):
        for _ in range(WARM_UPS):
            step()
    current.wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):  # other threads go about their own work
        result = step()

    def replay() -> Tensor:
        graph.replay()
        return result

    return replay
