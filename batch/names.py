"""Names of songs: what a file can be called on any system."""

from typing import Any

from acestep_core.errors import InvalidInputError

LONGEST = 120  # characters; an ending and a number are added
FORBIDDEN = '<>:"/\\|?*'
RESERVED = {
    "con",
    "prn",
    "aux",
    "nul",
    *(f"{port}{number}" for port in ("com", "lpt") for number in range(1, 10)),
}
OURS = "manifest"  # the stem of the record of all songs


def name_of(cell: Any, number: int) -> str:
    """The name of a row; without one its number."""
    if cell is None:
        return f"row_{number:05}"
    name = str(cell).strip()
    fault = fault_of(name)
    if fault:
        raise InvalidInputError(
            f"{name[:LONGEST]!r} cannot be the name of a file: {fault}.", "Choose another name."
        )
    return name


def fault_of(name: str) -> str:
    """What keeps a text from being a file's name; empty if nothing does."""
    if not name:
        return "it is empty"
    if len(name) > LONGEST or len(name.encode("utf-8", "replace")) > 2 * LONGEST:
        return f"it is longer than {LONGEST} characters"
    if not name.isprintable() or any(letter in FORBIDDEN for letter in name):
        return f"it holds one of {' '.join(FORBIDDEN)} or a character that cannot be seen"
    if name.startswith(".") or name.endswith((".", " ")):
        return "it begins or ends with a dot"
    if name.partition(".")[0].casefold() in {*RESERVED, OURS}:
        return "the name is taken"
    return ""
