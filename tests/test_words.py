"""The words of all languages, as tools/words/check.py looks at them; and faults planted to see that it does."""

import json
from dataclasses import replace

import pytest

from tools.words import book, check, tables

BOOK = book.read()


@pytest.mark.parametrize("rule", check.CHECKS, ids=lambda rule: rule.__name__)
def test_the_words_of_all_languages(rule):
    assert sorted(rule(BOOK)) == []


def test_an_update_keeps_what_is_translated_and_adds_and_removes_the_rest():
    english = {"Node": {"display_name": "Play", "inputs": {"seed": {"name": "seed", "tooltip": "A number."}}}}
    german = {"Node": {"inputs": {"seed": {"name": "Startwert"}, "old": {"name": "alt"}}}, "Gone": {}}
    both = {
        "Node": {"display_name": "Play", "inputs": {"seed": {"name": "Startwert", "tooltip": "A number."}}}
    }
    assert tables.merged(english, german) == both
    assert tables.differences(english, german) == [
        "- Node.display_name: Play",
        "- Node.inputs.seed.tooltip: A number.",
        "+ Node.inputs.old.name",
    ]


# ------------------------------------------------------------------------------------------------ planted faults
def in_table(language, *place, text):
    """The book with one entry of a locale rewritten; text None: taken out."""
    table = json.loads(BOOK.files[language])
    inner = table
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = text
    if text is None:
        del inner[place[-1]]
    return replace(BOOK, files={**BOOK.files, language: tables.text_of(table)})


def on_page(language, change):
    """The book with the Sampler's page rewritten."""
    place = ("AceGraphSampler", language)
    return replace(BOOK, pages={**BOOK.pages, place: change(BOOK.pages[place])})


def with_option(node, option):
    """The book with an option more in the combos of a node."""
    kept = json.loads(json.dumps(BOOK.snapshot))
    for row in kept[node]["inputs"]:
        row.get("options", []).append(option)
    return replace(BOOK, snapshot=kept)


def in_player(language, text):
    words = dict(BOOK.player[language])
    words[next(iter(words))] = text
    return replace(BOOK, player={**BOOK.player, language: words})


STEPS = ("AceGraphSampler", "inputs", "steps")
ENGLISH_STEPS = BOOK.tables["en"]["AceGraphSampler"]["inputs"]["steps"]
PLANTED = {
    "english is that of the snapshot": in_table("en", *STEPS, text=None),
    "nothing is missing or left over": in_table("fr", *STEPS, "tooltip", text=None),
    "files are written the one way": replace(BOOK, files={**BOOK.files, "ko": BOOK.files["ko"] + " "}),
    "every option is a word or belongs to a combo of values": with_option("AceGraphReferenceTimbre", "loud"),
    "nodes say whose they are": in_table("es", "AceGraphSplice", "display_name", text="Empalme"),
    "the frontend shows texts as they stand": in_table("ru", *STEPS, "tooltip", text="{\u0448\u0430\u0433}"),
    "nothing is left in english": in_table("zh", *STEPS, "tooltip", text=ENGLISH_STEPS["tooltip"]),
    "numbers tags and file names survive": in_table("ja", *STEPS, "tooltip", text="\u30b9\u30c6\u30c3\u30d7"),
    "options are shown with their values": in_table(
        "fr", "AceGraphSampler", "inputs", "guidance_kind", "options", "auto", text="choix du mod\u00e8le"
    ),
    "the player speaks every language": in_player("ko", "play"),
    "other languages get the english page": replace(
        BOOK, fallbacks={**BOOK.fallbacks, "AceGraphSplice": "old"}
    ),
    "pages name only what can be seen": on_page("zh", lambda text: text.replace("`", "`x", 1)),
    "pages tell of every socket that must be wired": on_page("en", lambda text: text.replace("`", "")),
    "pages have the sections of all pages": on_page("ja", lambda text: text.replace("\n## ", "\n### ", 1)),
    "pages need nothing but pictures beside them": on_page("en", lambda text: text + "\n<br>"),
    "english pages are short": on_page("en", lambda text: text + " word" * 200),
    "pages are translated line by line": on_page("ko", lambda text: text + "\n\none more line"),
}


@pytest.mark.parametrize("rule", PLANTED)
def test_a_planted_fault_is_found(rule):
    found = {fault.partition(":")[0] for fault in check.faults(PLANTED[rule])}
    assert rule in found


def test_every_rule_has_been_seen_to_bite():
    names = {rule.__name__.replace("_", " ") for rule in check.CHECKS}
    assert names - set(PLANTED) == {"files are those of the languages meant"}  # which looks at the disk
