"""Stop, and out of memory, at any moment of any node: the operators of torch are the clock."""

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tools.hostile.plan import Plan
from tools.hostile.stage import Act, Stage, same
from tools.hostile.verdict import Verdict

MAPPED = torch.ops.aten.set_.source_Storage  # shows what lies in a file, and takes no memory
CLOSE = 1e-5  # of the peak: what another tile size may change


class Clock(TorchDispatchMode):
    """Counts operators, or those alone that make new memory, and does something before one of them."""

    def __init__(
        self, at: int = -1, strike: Callable[[], None] = lambda: None, allocations: bool = False
    ) -> None:
        super().__init__()
        self.now, self._at, self._strike, self._allocations = 0, at, strike, allocations

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if not self._allocations:
            self._tick()
            return func(*args, **(kwargs or {}))
        known = {leaf.untyped_storage()._cdata for leaf in tensors_in((args, kwargs))}
        result = func(*args, **(kwargs or {}))
        if func is MAPPED:
            return result
        if any(leaf.nbytes and leaf.untyped_storage()._cdata not in known for leaf in tensors_in(result)):
            self._tick()
        return result

    def _tick(self) -> None:
        self.now += 1
        if self.now == self._at:
            self._strike()


def tensors_in(tree: Any) -> Iterator[Tensor]:
    """Tensors that lie in real memory."""
    return (leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor) and not leaf.is_meta)


@contextmanager
def checks_noted(stage: Stage, clock: Clock) -> Iterator[list[int]]:
    """When a node asked whether Stop was pressed."""
    mm, noted = stage.module("comfy.model_management"), list[int]()
    plain = mm.throw_exception_if_processing_interrupted

    def asked() -> None:
        noted.append(clock.now)
        plain()

    mm.throw_exception_if_processing_interrupted = asked
    try:
        yield noted
    finally:
        mm.throw_exception_if_processing_interrupted = plain


class Undisturbed:
    """A clean run of a node: what came out, how many operators it took, and when it asked for Stop."""

    def __init__(self, stage: Stage, act: Act) -> None:
        self.act = act
        act()  # brings weights in, and fills what is kept
        clock = Clock()
        with checks_noted(stage, clock) as self.checks:
            self.outputs = act(clock)
        self.moments = self.checks[-1] if self.checks else 0  # operators at which Stop can still be heard
        counted = Clock(allocations=True)
        act(counted)
        self.allocations = counted.now


def stops(stage: Stage, plan: Plan) -> Verdict:
    """Press Stop at seeded operators of every node that computes."""
    verdict, dice = Verdict("Stop", plan.limit), random.Random(plan.seed)
    met = dict[str, int]()
    for run, at in drawn(stage, dice, lambda run: run.moments):
        if verdict.cases == plan.stops or not verdict.may_go_on():
            break
        stop_at(stage, run, at, verdict)
        met[run.act.name] = len(run.checks)
        verdict.cases += 1
    places = ", ".join(f"{name} {count}" for name, count in met.items())
    verdict.seen.append(f"{len(met)} nodes, which have so many places to stop: {places}")
    return verdict.ended()


def drawn(
    stage: Stage, dice: random.Random, moments: Callable[["Undisturbed"], int]
) -> Iterator[tuple["Undisturbed", int]]:
    """All moments of all nodes, each once, in an order in which every node has its turn; a node is measured at its first."""
    waiting = dice.sample(stage.acts, len(stage.acts))
    left = dict[str, list[int]]()
    while waiting:
        for act in list(waiting):
            run = undisturbed(stage, act)
            if act.kind not in left:
                left[act.kind] = dice.sample(range(1, moments(run) + 1), moments(run))
            if left[act.kind]:
                yield run, left[act.kind].pop()
            else:
                waiting.remove(act)


def undisturbed(stage: Stage, act: Act) -> "Undisturbed":
    """A node's clean run, made once."""
    if act.kind not in stage.clean:
        stage.clean[act.kind] = Undisturbed(stage, act)
    return stage.clean[act.kind]


def stop_at(stage: Stage, run: Undisturbed, at: int, verdict: Verdict) -> None:
    """Press Stop at an operator; the next place to stop has to take it."""
    mm = stage.module("comfy.model_management")
    clock, name = Clock(at, lambda: mm.interrupt_current_processing(True)), f"{run.act.name} at operator {at}"
    with checks_noted(stage, clock) as checks:
        try:
            run.act(clock)
            verdict.expect(not asked_after(checks, at), f"{name}: Stop was not heard")
        except mm.InterruptProcessingException:
            late = asked_after(checks, at) - 1
            verdict.expect(not late, f"{name}: heard {late} places to stop too late")
        except Exception as fault:  # noqa: BLE001  (whatever it is, it is what was looked for)
            verdict.faults.append(f"{name}: {type(fault).__name__} {fault!s:.200}")
        finally:
            mm.interrupt_current_processing(False)
    verdict.expect(not stage.leftovers(), f"{name}: left {stage.leftovers()}")
    verdict.expect(same(run.act(), run.outputs), f"{name}: the next run is another")


def asked_after(checks: Sequence[int], at: int) -> int:
    """How often a node asked for Stop once it was pressed."""
    return sum(check >= at for check in checks)


def allocations(stage: Stage, plan: Plan) -> Verdict:
    """Let the n-th new tensor of every node fail: our sentence or smaller tiles, and the next run is the same."""
    verdict, dice = Verdict("Out of memory", plan.limit), random.Random(plan.seed)
    met = dict[str, int]()
    for run, at in drawn(stage, dice, lambda run: run.allocations):
        if verdict.cases == plan.allocations or not verdict.may_go_on():
            break
        fail_at(stage, run, at, verdict)
        met[run.act.name] = met.get(run.act.name, 0) + 1
        verdict.cases += 1
    counts = {act.name: stage.clean[act.kind].allocations for act in stage.acts if act.kind in stage.clean}
    verdict.seen.append(", ".join(f"{name} {done} of {counts[name]}" for name, done in met.items()))
    return verdict.ended()


def fail_at(stage: Stage, run: Undisturbed, at: int, verdict: Verdict) -> None:
    """One allocation that fails, as ComfyUI then goes on: everything is unloaded."""
    errors, mm = stage.pack.acestep_core.errors, stage.module("comfy.model_management")
    name = f"{run.act.name} at allocation {at}"
    try:
        outputs = run.act(Clock(at, out_of_memory, allocations=True))
        verdict.expect(alike(outputs, run.outputs), f"{name}: went on with another result")
    except errors.DeviceFullError as fault:
        verdict.expect(str(fault).count("\n") == 1, f"{name}: says {fault}")
        verdict.expect(isinstance(fault, mm.OOM_EXCEPTION), f"{name}: ComfyUI would not unload")
    except Exception as fault:  # noqa: BLE001  (whatever it is, it is what was looked for)
        verdict.faults.append(f"{name}: {type(fault).__name__} {fault!s:.200}")
    mm.unload_all_models()
    verdict.expect(same(run.act(), run.outputs), f"{name}: the next run is another")


def out_of_memory() -> None:
    """What torch raises."""
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")


def alike(first: Any, second: Any) -> bool:
    """Whether two results differ by no more than another tile size changes."""
    if isinstance(first, Tensor):
        peak = float(second.abs().max()) if second.numel() else 0.0
        return first.shape == second.shape and float((first - second).abs().max()) <= CLOSE * max(peak, 1.0)
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(alike(first[key], second[key]) for key in first)
    if isinstance(first, list | tuple):
        return len(first) == len(second) and all(map(alike, first, second))
    return first == second
