"""The words of the nodes in every language: locales/<language>/nodeDefs.json, as ComfyUI's frontend reads them.

    python -m tools.words.tables            says what each language lacks, and what it has too much
    python -m tools.words.tables --update   writes the words of the schemas as the English ones, and in every other language
                                          new entries in English, to be translated, and none that the schemas lack;
                                          and copies English help pages to where languages without a page find them

A new node needs these steps: the snapshot (tools/words/snapshot.py --update), this with --update, its entries translated,
and a help page in each language of PAGES, written before the update. `python -m tools.words.check` names whatever is still English
or wrong.
"""

import json
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from support.comfyui import fetch
from support.comfyui import host as comfy_host
from support.comfyui import models as comfy_models
from tools.words import snapshot as node_snapshot

ROOT = Path(__file__).resolve().parents[2]
ENGLISH = "en"
TRANSLATED = ("zh", "zh-TW", "ja", "ko", "fr", "es", "ru")
LANGUAGES = (ENGLISH, *TRANSLATED)
PAGES = (ENGLISH, "zh", "ja", "ko")  # languages of the help pages
WORDS = {  # options of combos that say something; every other option is a value, the same in each language
    "auto",
    "custom",
    "double",
    "even",
    "high",
    "low",
    "none",
    "peak -1 dBFS",
    "put a LoRA into models/loras",
    "put a model into models/acestep",
    "put a planner into models/text_encoders",
    "random",
    "remix",
    "save codes first",
    "whole",
    "words",
}
REQUESTS = {  # of them, what is shown where there is nothing to choose from
    "put a LoRA into models/loras",
    "put a model into models/acestep",
    "put a planner into models/text_encoders",
    "save codes first",
}
Words = dict[str, Any]


def file_of(language: str) -> Path:
    return ROOT / "locales" / language / "nodeDefs.json"


def page_of(node: str, language: str) -> Path:
    return ROOT / "web" / "docs" / node / f"{language}.md"


def fallback_of(node: str) -> Path:
    """The page that ComfyUI shows in all other languages: the English one once more."""
    return ROOT / "web" / "docs" / f"{node}.md"


def words_in(language: str) -> Words:
    """What is committed."""
    return json.loads(file_of(language).read_text(encoding="utf-8"))


def words_of(infos: Mapping[str, Any], snapshot: Mapping[str, Any]) -> Words:
    """The words of the schemas: texts from /object_info, options from the snapshot, for /object_info lists files as well."""
    return {node: words_of_node(infos[node], snapshot[node]) for node in snapshot}


def words_of_node(info: Mapping[str, Any], kept: Mapping[str, Any]) -> Words:
    """The words of one node, in the frontend's form; names are what is shown."""
    specs = {**info["input"].get("required", {}), **info["input"].get("optional", {})}
    outputs = zip(info["output_name"], info["output_tooltips"], strict=True)
    return {
        "display_name": info["display_name"],
        "description": info["description"],
        "inputs": {row["name"]: words_of_input(specs[row["name"]], row) for row in kept["inputs"]},
        "outputs": {
            str(place): {"name": name, "tooltip": tooltip} for place, (name, tooltip) in enumerate(outputs)
        },
    }


def words_of_input(spec: Any, row: Mapping[str, Any]) -> Words:
    """Name, tooltip, and the options that are words, each with what is shown for it."""
    said = spec[1]
    words = {"name": said.get("display_name") or row["name"], "tooltip": said["tooltip"]}
    options = {option: option for option in row.get("options", ()) if option in WORDS}
    return {**words, "options": options} if options else words


def entries(words: Words, place: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """Every text of a table with its place: (node, "inputs", input, "tooltip"), ..."""
    for key, value in words.items():
        if isinstance(value, dict):
            yield from entries(value, (*place, key))
        else:
            yield (*place, key), value


def differences(wanted: Words, found: Words) -> list[str]:
    """Places that a language lacks (-) and those that it has too much (+)."""
    wants, has = dict(entries(wanted)), dict(entries(found))
    lacks = [f"- {'.'.join(place)}: {wants[place]}" for place in wants if place not in has]
    return lacks + [f"+ {'.'.join(place)}" for place in has if place not in wants]


def merged(english: Words, found: Words) -> Words:
    """The entries of English, in its order, each in the other language where it has one."""
    return {
        key: merged(value, found.get(key, {})) if isinstance(value, dict) else found.get(key, value)
        for key, value in english.items()
    }


def text_of(words: Words) -> str:
    """As it is committed."""
    return json.dumps(words, indent=2, ensure_ascii=False) + "\n"


def schema_words() -> Words:
    """The words of the schemas as they are now, from a ComfyUI without models."""
    with tempfile.TemporaryDirectory() as scratch:
        base = comfy_models.make_base(Path(scratch), comfy_host.PACK)
        host = comfy_host.start(fetch.comfyui_dir(), base)
        comfy_host.load_pack(host)
        infos = node_snapshot.infos_of(host)
        host.close()
    return words_of(infos, node_snapshot.snapshot_of(infos))


def main() -> None:
    """Compare every language with the schemas, or bring it up to them."""
    now = schema_words()
    found = {code: words_in(code) if file_of(code).is_file() else {} for code in LANGUAGES}
    if "--update" in sys.argv[1:]:
        for language in LANGUAGES:
            file_of(language).parent.mkdir(parents=True, exist_ok=True)
            kept = {} if language == ENGLISH else found[language]
            file_of(language).write_text(text_of(merged(now, kept)), encoding="utf-8")
        for node in now:
            fallback_of(node).write_bytes(page_of(node, ENGLISH).read_bytes())
        return
    if lines := [f"{code} {line}" for code in LANGUAGES for line in differences(now, found[code])]:
        sys.exit("\n".join(lines))


if __name__ == "__main__":
    main()
