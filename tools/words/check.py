"""Locales and help pages against the words of the schemas: nothing missing, nothing stale, nothing left in English.

    python -m tools.words.check     says what is wrong, and where

Needs no ComfyUI: what the nodes have is in tests/nodes/snapshot.json, and whether that is so tests/nodes/test_words.py asks.
"""

import sys
from collections.abc import Callable, Iterator, Sequence

from tools.words import book
from tools.words.book import Book
from tools.words.page_checks import PAGE_CHECKS
from tools.words.table_checks import TEXT_CHECKS, WHOLENESS_CHECKS

Check = Callable[[Book], Iterator[str]]
CHECKS: tuple[Check, ...] = (*WHOLENESS_CHECKS, *TEXT_CHECKS, *PAGE_CHECKS)


def faults(words: Book) -> list[str]:
    """Everything that is wrong, each with the rule that it breaks; where something is missing, that alone."""
    return found_by(WHOLENESS_CHECKS, words) or found_by((*TEXT_CHECKS, *PAGE_CHECKS), words)


def found_by(checks: Sequence[Check], words: Book) -> list[str]:
    """What these checks find."""
    return [
        f"{check.__name__.replace('_', ' ')}: {fault}" for check in checks for fault in sorted(check(words))
    ]


def main() -> None:
    """Print what is wrong and exit with 1, or say that all is well."""
    if found := faults(book.read()):
        sys.exit("\n".join(found))
    print("The words of all languages are there, and in their own language.")


if __name__ == "__main__":
    main()
