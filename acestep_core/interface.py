"""What passes between the core and its callers, whatever the work: choices left open, progress, reports."""

from collections.abc import Callable

AUTO = "auto"  # a choice that is left to the checkpoint
Listener = Callable[
    [int, int], None
]  # (done, total), after every part of the work; it may raise to stop the work
Report = tuple[str, ...]  # lines for the musician


def ignore(*told: object) -> None:
    """Listen to nothing."""
