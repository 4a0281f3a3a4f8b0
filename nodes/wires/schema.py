"""Schemas that every supported ComfyUI understands, and what many inputs share."""

from dataclasses import fields
from typing import Any

from comfy_api.latest import io

CATEGORY = "ACE-Step Graph"
FRAME = 0.04  # seconds: the step of everything that is a time
SEED_MAX = 0xFFFFFFFFFFFFFFFF
KNOWN = {field.name for field in fields(io.Schema)}


def schema(group: str, **given: Any) -> io.Schema:
    """An io.Schema; keywords that the running ComfyUI does not know yet are left out."""
    return io.Schema(
        category=f"{CATEGORY}/{group}", **{name: value for name, value in given.items() if name in KNOWN}
    )


def advanced(widget: Any) -> Any:
    """Mark a widget as rarely used; 0.3.75 passes the mark on without reading it."""
    widget.extra_dict = {**(widget.extra_dict or {}), "advanced": True}
    return widget


def of_files(widget: Any) -> Any:
    """Mark a choice among names of files: what it names is looked for when it is opened, listed or not."""
    widget.of_files = True
    return widget


def report_output() -> Any:
    """The text that a musician should read; Preview Any of ComfyUI shows it."""
    return io.String.Output(
        display_name="report", tooltip="What was decided and done, in words. Connect Preview Any to read it."
    )
