"""What every node is to ComfyUI: values are checked before it works, and errors show its name before their sentence."""

from collections.abc import Callable, Mapping
from functools import cache, wraps
from inspect import signature
from typing import Any

from comfy_api.latest import io

from ...acestep_core.errors import AceStepError, DeviceFullError, is_full
from .kernels import kept_going
from .values import checked

RELIEF = "Choose fewer songs or a shorter song, or close other programs."
NAME = "ACE-Step"  # shown as the module of our errors, whose own is a path on the disk where a pack lies


class Node(io.ComfyNode):
    """A node that gets only values of its inputs' types and ranges, and fails under the name of the package."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        execute = getattr(vars(cls).get("execute"), "__func__", None)
        if execute and not hasattr(execute, "__wrapped__"):  # ComfyUI copies classes, and locks its copies
            cls.execute = classmethod(guarded(execute, cls))


@cache
def inputs_of(node: type[io.ComfyNode]) -> Mapping[str, io.Input]:
    """A node's inputs by name; their types and ranges never change, unlike lists of files."""
    return {wired.id: wired for wired in node.define_schema().inputs or ()}


def guarded(execute: Callable[..., io.NodeOutput], node: type[io.ComfyNode]) -> Callable[..., io.NodeOutput]:
    """The same for checked values, and with errors that are shown as `ACE-Step.InvalidInputError`."""
    takes = signature(execute)

    @wraps(execute)
    def executed(*given: Any, **named: Any) -> io.NodeOutput:
        (_, itself), *values = takes.bind(*given, **named).arguments.items()
        try:
            with kept_going():
                return execute(itself, **checked(inputs_of(node), dict(values)))
        except AceStepError as fault:
            raise renamed(fault).with_traceback(fault.__traceback__) from fault.__cause__
        except (RuntimeError, MemoryError, OSError) as fault:  # of work that no network does
            if not is_full(fault):
                raise
            full = DeviceFullError(f"Memory ran out in {node.define_schema().display_name}.", RELIEF)
            raise renamed(full).with_traceback(fault.__traceback__) from fault

    return executed


def verdict(node: type[io.ComfyNode], check: Callable[..., object], **given: Any) -> bool | str:
    """What `validate_inputs` answers: whether a check passes, or its two sentences, shown before anything runs.

    A value that comes by wire is None then, and nothing is known of it yet. ComfyUI leaves the range of the others to us.
    """
    known = {name: value for name, value in given.items() if value is not None}
    try:
        values = checked(inputs_of(node), known)
        if len(known) == len(given):
            check(**values)
    except AceStepError as fault:
        return str(fault)
    return True


def renamed(fault: AceStepError) -> AceStepError:
    """The same error, of a kind that differs in nothing but the module that it tells; a copy is of the plain kind."""
    plain = type(fault)

    def reduced(error: AceStepError) -> tuple[Any, ...]:
        return plain, (error.problem, error.remedy)

    kind = type(plain.__name__, (plain,), {"__module__": NAME, "__reduce__": reduced})
    return kind(fault.problem, fault.remedy)
