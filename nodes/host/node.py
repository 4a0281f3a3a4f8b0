"""What every node is to ComfyUI, which shows an error's module and name before its sentence."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from comfy_api.latest import io

from ...acestep_core.errors import AceStepError

NAME = "ACE-Step"  # shown as the module of our errors, whose own is a path on the disk where a pack lies


class Node(io.ComfyNode):
    """A node that fails under the name of the package."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        execute = getattr(vars(cls).get("execute"), "__func__", None)
        if execute and not hasattr(execute, "__wrapped__"):  # ComfyUI copies classes, and locks its copies
            cls.execute = classmethod(failing_by_name(execute))


def failing_by_name(execute: Callable[..., io.NodeOutput]) -> Callable[..., io.NodeOutput]:
    """The same, but with errors that are shown as `ACE-Step.InvalidInputError`."""

    @wraps(execute)
    def executed(*given: Any, **named: Any) -> io.NodeOutput:
        try:
            return execute(*given, **named)
        except AceStepError as fault:
            raise renamed(fault).with_traceback(fault.__traceback__) from fault.__cause__

    return executed


def renamed(fault: AceStepError) -> AceStepError:
    """The same error, of a kind that differs in nothing but the module that it tells; a copy is of the plain kind."""
    plain = type(fault)

    def reduced(error: AceStepError) -> tuple[Any, ...]:
        return plain, (error.problem, error.remedy)

    kind = type(plain.__name__, (plain,), {"__module__": NAME, "__reduce__": reduced})
    return kind(fault.problem, fault.remedy)
