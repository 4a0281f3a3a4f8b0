"""A planner brought to work, and its progress shown."""

import math
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager

from comfy_api.latest import io

from ...acestep_core.interface import Listener
from ...acestep_core.networks.config import TEXT_ROWS
from ...acestep_core.networks.costs import planning_bytes
from ...acestep_core.planner.generation import Options
from ...acestep_core.planner.token_sampling import SamplingParams
from ..host import runtime
from ..host.runtime import Bar
from ..wires.sockets import PlannerHandle

PAUSE = 0.1  # seconds between two moves of the bar


def options_of(
    handle: PlannerHandle,
    params: SamplingParams,
    seeds: Sequence[int],
    on_token: Listener,
    candidates: int | None = None,
) -> Options:
    """Options for a run where ComfyUI wants this planner to compute, brought in once it does. candidates: as for `bytes_for`."""
    managed = handle.managed

    def bring_in(rows: int, tokens: int) -> AbstractContextManager[object]:
        return managed.at_work(bytes_for(handle, rows, tokens, candidates))

    return Options(params, seeds, managed.device, managed.dtype, handle.record, on_token, bring_in)


def bytes_for(handle: PlannerHandle, rows: int, tokens: int, candidates: int | None = None) -> int:
    """What a run takes beside the weights. candidates: as `planning_bytes` counts them; None: those of a text."""
    network, managed = handle.planner.network, handle.managed
    plain = planning_bytes(network.sizes, rows, tokens, managed.dtype, 0)
    if network.table.dtype == managed.dtype and (candidates is None or managed.fits_beside(plain)):
        return plain  # the table is read where it lies
    rows_at_hand = TEXT_ROWS if candidates is None else candidates
    return planning_bytes(network.sizes, rows, tokens, managed.dtype, rows_at_hand)


class Meter:
    """Listens to a planner: moves the bar, tells the speed, and stops within one token."""

    def __init__(self, node: str | None, unit: str, known_end: bool) -> None:
        """known_end: whether as many will be written as there is room for."""
        self._bar, self._node, self._unit, self._known_end = Bar(1), node, unit, known_end
        self._first = self._done = 0  # tokens
        self._began = self._now = self._shown = -math.inf

    def __call__(self, done: int, total: int) -> None:
        runtime.stop_if_asked()
        self._now, self._done = time.perf_counter(), done
        if not self._first:
            self._first, self._began = done, self._now  # loading and reading are not writing
        if done == total or self._now - self._shown > PAUSE:
            self._shown = self._now
            self._bar.move(done, total)
            of = f" / {total}" if self._known_end else ""
            runtime.caption(self._node, f"{done}{of} {self.speed}".strip())

    def part(self, number: int, parts: int) -> Listener:
        """A listener for one of several equal parts of the work; the first one is number 0."""
        return lambda done, total: self(number * total + done, parts * total)

    @property
    def speed(self) -> str:
        """How fast it went after the first token; nothing if there was no second one."""
        written, spent = self._done - self._first, max(self._now - self._began, 1e-9)
        return f"{self._unit} at {written / spent:.1f} per second" if written else ""


def meter_of(node: type[io.ComfyNode], unit: str, known_end: bool = False) -> Meter:
    """A meter that shows itself under the running node."""
    return Meter(node.hidden.unique_id if node.hidden else None, unit, known_end)
