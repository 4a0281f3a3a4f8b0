"""What a newcomer meets before any setting is touched: the model chosen, what is said of empty fields, "auto", what a search finds."""

import ast
import json
import re

import pytest

from support.comfyui import host as comfy_host
from tools.words import snapshot as node_snapshot

STANDS = re.compile(
    r"\b0: (auto|the planner decides|estimated in a run|as in the plan|length of the source|as the file says)"
)
SOUGHT = {  # word -> a node that a search for it must offer
    "song": "AceGraphSampler",
    "music": "AceGraphLoad",
    "stem": "AceGraphEncodeConditions",
    "track": "AceGraphEncodeConditions",
    "listen": "AceGraphPreviewAudio",
    "player": "AceGraphPreviewAudio",
    "acestep": "AceGraphLoad",
}


@pytest.fixture(scope="module")
def infos(host, pack):
    return node_snapshot.infos_of(host)


def inputs_of(info):
    return {**info["input"].get("required", {}), **info["input"].get("optional", {})}


def test_a_fresh_loader_chooses_turbo_before_all_others(infos):
    models = inputs_of(infos["AceGraphLoad"])["model"][1]["options"]
    quick = ["turbo" in name.lower() for name in models]
    assert quick == sorted(quick, reverse=True)
    assert {True, False} == set(quick)
    assert models != sorted(models)  # or the order would say nothing


@pytest.mark.parametrize(
    ("caption", "lyrics", "instrumental", "said"),
    [
        ("pop", "la", False, []),
        ("pop", "", True, []),
        (" ", "la", False, ["The caption is empty"]),
        ("", "\n", False, ["The caption is empty", "The lyrics are empty"]),
        ("pop", "la", True, ["instrumental is on"]),
    ],
)
def test_the_report_tells_of_empty_fields(pack, caption, lyrics, instrumental, said):
    lines = list(pack.nodes.conditions.remarks(caption, lyrics, instrumental))
    assert len(lines) == len(said)
    assert all(line.startswith(start) for line, start in zip(lines, said, strict=True))


def auto_at_zero():
    """The table of web/widgets.js: node -> its widgets."""
    text = (comfy_host.PACK / "web" / "widgets.js").read_text(encoding="utf-8")
    groups = {name: json.loads(widgets) for name, widgets in re.findall(r"const ([A-Z]+) = (\[.*\]);", text)}
    (table,) = re.findall(r"AUTO_AT_ZERO = \{(.*?)\};", text, re.DOTALL)
    rows = re.findall(r"(\w+): (\w+|\[.*\]),", table)
    return {node: set(groups.get(entry) or json.loads(entry)) for node, entry in rows}


def test_every_number_that_stands_for_auto_says_so_in_the_browser(infos):
    stands = {
        node: {
            name
            for name, (kind, *options) in inputs_of(info).items()
            if kind in ("INT", "FLOAT") and STANDS.search(options[0].get("tooltip", ""))
        }
        for node, info in infos.items()
        if node.startswith("AceGraph")
    }
    assert auto_at_zero() == {node: names for node, names in stands.items() if names}


def aliases():
    """Node -> what else it is found by. Read from the sources: the oldest ComfyUI drops these words."""
    found = {}
    for path in (comfy_host.PACK / "nodes").rglob("*.py"):
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "schema":
                given = {word.arg: word.value for word in call.keywords}
                if "search_aliases" in given:
                    found[ast.literal_eval(given["node_id"])] = ast.literal_eval(given["search_aliases"])
    return found


def test_a_search_finds_what_musicians_type():
    found = aliases()
    assert len(found) > 20
    assert {word: node for word, node in SOUGHT.items() if word in found[node]} == SOUGHT
