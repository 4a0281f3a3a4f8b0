"""Every value that reaches a node, checked once by the rule of its input, whether it was typed in or came by wire.

ComfyUI checks a value only where it is typed in. `Node` calls `checked` for every execution of every node.
"""

from collections.abc import Callable, Mapping
from numbers import Real
from typing import Any

import numpy as np
from comfy_api.latest import io

from ...acestep_core.errors import InvalidInputError
from . import tensor_values
from .tensor_values import shown

Rule = Callable[[Any, Any], Any]  # the value as a node uses it, or an InvalidInputError

UNIT = " (s)"  # how the labels of times end
MOST_SHOWN = 12  # options in a message


def checked(inputs: Mapping[str, io.Input], given: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a node's inputs, each of its type and in its range; what is not wired is left out."""
    return {
        name: value if name not in inputs else RULES[inputs[name].io_type](inputs[name], value)
        for name, value in given.items()
        if value is not None or not (name in inputs and inputs[name].optional)
    }


def label(widget: Any) -> str:
    """What a message calls an input."""
    return (widget.display_name or widget.id).removesuffix(UNIT)


def real(widget: Any, value: Any) -> Any:
    """A number in the widget's range."""
    if not isinstance(value, Real):  # those of NumPy count as well
        raise InvalidInputError(
            f"The {label(widget)} is {shown(value)}, which is no number.", "Connect a node that gives one."
        )
    least, most = widget.min, widget.max
    if not least <= value <= most:
        unit = " s" if (widget.display_name or "").endswith(UNIT) else ""
        raise InvalidInputError(
            f"The {label(widget)} is {shown(value)}{unit}.", f"Set it from {least:g} to {most:g}{unit}."
        )
    return value


def whole(widget: Any, value: Any) -> int:
    """A whole number in the widget's range."""
    number = real(widget, value)
    if number != int(number):
        raise InvalidInputError(
            f"The {label(widget)} is {shown(value)}, which is no whole number.",
            "Round it, for example to the next one.",
        )
    return int(number)


def yes_or_no(widget: Any, value: Any) -> bool:
    """True or false, or 1 or 0 as other packs have them."""
    if not isinstance(value, Real | np.bool_) or value not in (0, 1):
        raise InvalidInputError(
            f"The {label(widget)} is {shown(value)}, which is neither true nor false.",
            "Connect a node that gives one of both.",
        )
    return bool(value)


def text(widget: Any, value: Any) -> str:
    """A text of any length."""
    if not isinstance(value, str):
        raise InvalidInputError(
            f"The {label(widget)} is {shown(value)}, which is no text.", "Connect a node that gives a text."
        )
    return value


def choice(widget: Any, value: Any) -> str:
    """One of the options; older ComfyUI does not check this, and options change."""
    name = text(widget, value)
    options = list(map(str, widget.options))
    if name not in options and not getattr(widget, "of_files", False):
        raise InvalidInputError(
            f"There is no {label(widget).replace('_', ' ')} {shown(name)} here.",
            f"Choose one of: {', '.join(options[:MOST_SHOWN])}.",
        )
    return name


def of_kind(kind: type) -> Rule:
    """The rule of a socket of our own, which carries objects of one class."""

    def carried(widget: Any, value: Any) -> Any:
        if not isinstance(value, kind):
            raise InvalidInputError(
                f"The {label(widget)} is {shown(value)}, which no node of ACE-Step makes.",
                "Connect the output of the same name of a node of ACE-Step Graph.",
            )
        return value

    return carried


def tensors(rule: Callable[[str, Any], Any]) -> Rule:
    """The rule of one of ComfyUI's own sockets that carry tensors."""
    return lambda widget, value: rule(label(widget), value)


RULES: dict[str, Rule] = {  # by the type of an input; modules that make sockets of their own add theirs
    "INT": whole,
    "FLOAT": real,
    "BOOLEAN": yes_or_no,
    "STRING": text,
    "COMBO": choice,
    "LATENT": tensors(tensor_values.latent),
    "AUDIO": tensors(tensor_values.audio),
    "MASK": tensors(tensor_values.mask),
    "SIGMAS": tensors(tensor_values.sigmas),
}
