"""Everything that users read of the nodes, in every language: what the checks look at."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tools.words import snapshot, tables
from tools.words.tables import ENGLISH, LANGUAGES, PAGES, ROOT

PLAYER_GROUP = "acestepgraph"
SUFFIX = " (ACE-Step)"  # of a node's name, left out where only our nodes are spoken of
WRITING = {  # letters that tell a language
    language: re.compile(letters)
    for languages, letters in (
        (("zh", "zh-TW"), r"[\u4e00-\u9fff]"),
        (("ja",), r"[\u3040-\u30ff\u4e00-\u9fff]"),
        (("ko",), r"[\uac00-\ud7a3]"),
        (("ru",), r"[\u0400-\u04ff]"),
        (("fr", "es"), r"[^\W\d_]"),
    )
    for language in languages
}


@dataclass(frozen=True)
class Book:
    """The words of all nodes."""

    snapshot: Mapping[str, Any]  # what the nodes have: see tools/words/snapshot.py
    files: Mapping[str, str]  # language -> its nodeDefs.json as it stands on the disk
    player: Mapping[str, Mapping[str, str]]  # language -> what the player's buttons say
    player_source: str  # all of web/*.js
    pages: Mapping[tuple[str, str], str]  # node, language -> its help page
    fallbacks: Mapping[str, str]  # node -> its page for every other language

    @cached_property
    def tables(self) -> dict[str, Any]:
        """The words of each language."""
        return {language: json.loads(text) for language, text in self.files.items()}

    @cached_property
    def texts(self) -> dict[str, dict[tuple[str, ...], str]]:
        """Each text of each language with its place in the table."""
        return {language: dict(tables.entries(table)) for language, table in self.tables.items()}

    def options(self, node: str) -> Iterator[tuple[str, set[str]]]:
        """Every combo of a node with its options."""
        for row in self.snapshot[node]["inputs"]:
            if row["type"] == "COMBO":
                yield row["name"], set(row.get("options", ()))

    def names(self, language: str) -> dict[str, str]:
        """What nodes are called on pages -> their ids."""
        return {self.name(node, language): node for node in self.tables[language]}

    def name(self, node: str, language: str) -> str:
        """What a node is called on pages."""
        return self.tables[language][node]["display_name"].removesuffix(SUFFIX)

    def shown_on(self, node: str, language: str) -> set[str]:
        """Everything of a node that can be read on it: names of inputs and outputs, and options."""
        words = self.tables[language][node]
        sockets = [*words["inputs"].values(), *words["outputs"].values()]
        options = (found for _, found in self.options(node))
        return {socket["name"] for socket in sockets}.union(*options)


def read() -> Book:
    """The words that are committed."""
    kept = json.loads(text_of(snapshot.FILE))
    return Book(
        snapshot=kept,
        files={language: text_of(tables.file_of(language)) for language in LANGUAGES},
        player={language: player_words(language) for language in LANGUAGES},
        player_source="\n".join(text_of(path) for path in sorted((ROOT / "web").glob("*.js"))),
        pages={(node, code): text_of(tables.page_of(node, code)) for node in kept for code in PAGES},
        fallbacks={node: text_of(tables.fallback_of(node)) for node in kept},
    )


def text_of(path: Path) -> str:
    """A file as it stands; ends of lines are not read otherwise than they were written."""
    return path.read_bytes().decode("utf-8")


def player_words(language: str) -> dict[str, str]:
    """What the player's buttons say: the whole of main.json."""
    (group,) = json.loads(text_of(ROOT / "locales" / language / "main.json")).items()
    name, words = group
    assert name == PLAYER_GROUP, f"main.json of {language} holds {name}"
    return words


def others(languages: tuple[str, ...]) -> tuple[str, ...]:
    """All of these languages but English."""
    return tuple(language for language in languages if language != ENGLISH)
