"""Locales and help pages against the words of the schemas: nothing missing, nothing stale, nothing left in English."""

import json
import re
from collections.abc import Iterator

import pytest

from tools.words import snapshot as node_snapshot
from tools.words import tables as node_words
from tools.words.tables import ENGLISH, LANGUAGES, PAGES, REQUESTS, ROOT, TRANSLATED, WORDS

SNAPSHOT = json.loads(node_snapshot.FILE.read_text(encoding="utf-8"))
TABLES = {language: node_words.words_in(language) for language in LANGUAGES}
TEXTS = {language: dict(node_words.entries(TABLES[language])) for language in LANGUAGES}
VALUED = {  # combos with options that are values: names that files, the model or ComfyUI use
    *(
        f"AceGraph{node}.{figure}"
        for node in ("ComposeCodes", "Format", "Plan")
        for figure in ("key", "language", "time_signature")
    ),
    "AceGraphEncodeConditions.key",
    "AceGraphEncodeConditions.language",
    "AceGraphEncodeConditions.task",
    "AceGraphEncodeConditions.time_signature",
    "AceGraphInspire.language",
    "AceGraphLoad.variant",
    "AceGraphLoad.weight_dtype",
    "AceGraphLoadPlanner.weight_dtype",
    "AceGraphOobleckDecode.tile",
    "AceGraphOobleckEncode.tile",
    "AceGraphPreviewAudio.format",
    "AceGraphPreviewAudio.level",
    "AceGraphSampler.guidance_kind",
    "AceGraphSampler.solver",
    "AceGraphSamplingExtras.wavelet",
    "AceGraphSaveAudio.format",
    "AceGraphSaveAudio.level",
}
SAME = {  # words that these languages share with English
    "fr": "audio bpm codes conditions format instrumental latent original plan sigmas source timbre variation",
    "es": "audio bpm instrumental original plan sigmas timbre",
}
WRITING = {  # letters that tell a language
    **dict.fromkeys(("zh", "zh-TW"), r"[\u4e00-\u9fff]"),
    "ja": r"[\u3040-\u30ff\u4e00-\u9fff]",
    "ko": r"[\uac00-\ud7a3]",
    "ru": r"[\u0400-\u04ff]",
    **dict.fromkeys(("fr", "es"), r"[^\W\d_]"),
}
UNWRITTEN = {"VAE", "BPM", "EMA", "Latent", "Sigmas"}  # names that stay in Latin letters
LITERAL = re.compile(r"%\w+%|\[[A-Z]\w+\]|-?\d+(?:[.,]\d+)*|\w+/\w+|[\w.]+\.(?:safetensors|json)|\w+_\w+\b")
ONE_PER_LINE = re.compile(r"\n+")
SYNTAX = re.compile(r"[{}@|]")  # what the frontend's message compiler would not show as it stands
SUFFIX = " (ACE-Step)"
LINK = re.compile(r"(!?)\[[^\]]*\]\(([^)]*)\)")
CODE, BOLD = re.compile(r"`([^`]+)`"), re.compile(r"\*\*([^*]+)\*\*")
SOCKETS = {"LATENT", "AUDIO", "MASK"} | {
    kind for kept in SNAPSHOT.values() for _, kind in kept["outputs"] if kind.startswith("ACEGRAPH_")
}
COMFYUI = {  # ComfyUI's own nodes that pages name, as its frontend calls them
    "en": "Load Audio, Preview Any, Invert Mask, Mask Composite, Trim Audio Duration",
    "zh": "加载音频, 预览任意, 反转遮罩, 合成遮罩, 修剪音频时长",
    "ja": "音声を読み込む, プレビュー任意, マスクを反転, マスク合成, オーディオの長さをトリミング",
    "ko": "오디오 로드, 미리보기 아무거나, 마스크 반전, 마스크 합성, 오디오 길이 자르기",
}
PLAYER = ROOT / "web/player.js"
SECTIONS = 4
SHORTEST, LONGEST = 140, 320  # words of an English page


def options_of(node: str) -> Iterator[tuple[str, set[str]]]:
    """Every combo of a node with its options."""
    for row in SNAPSHOT[node]["inputs"]:
        if row["type"] == "COMBO":
            yield row["name"], set(row.get("options", ()))


def own_names(language: str) -> dict[str, str]:
    """What nodes are called on pages -> their ids."""
    return {words["display_name"].removesuffix(SUFFIX): node for node, words in TABLES[language].items()}


def shown_on(node: str, language: str) -> set[str]:
    """Everything of a node that can be read on it: names of inputs and outputs, and options."""
    words = TABLES[language][node]
    sockets = [*words["inputs"].values(), *words["outputs"].values()]
    return {socket["name"] for socket in sockets}.union(*(options for _, options in options_of(node)))


def page(node: str, language: str) -> str:
    return node_words.page_of(node, language).read_text(encoding="utf-8")


# ------------------------------------------------------------------------------------------------------- locales
def test_english_has_the_nodes_inputs_and_outputs_of_the_snapshot():
    assert set(TABLES[ENGLISH]) == set(SNAPSHOT)
    for node, kept in SNAPSHOT.items():
        words = TABLES[ENGLISH][node]
        assert list(words["inputs"]) == [row["name"] for row in kept["inputs"]], node
        assert [output["name"] for output in words["outputs"].values()] == [
            name for name, _ in kept["outputs"]
        ], node


@pytest.mark.parametrize("language", TRANSLATED)
def test_no_entry_is_missing_and_none_is_left_over(language):
    assert node_words.differences(TABLES[ENGLISH], TABLES[language]) == []
    assert list(TEXTS[language]) == list(TEXTS[ENGLISH])


def test_an_update_keeps_what_is_translated_and_adds_and_removes_the_rest():
    english = {"Node": {"display_name": "Play", "inputs": {"seed": {"name": "seed", "tooltip": "A number."}}}}
    german = {"Node": {"inputs": {"seed": {"name": "Startwert"}, "old": {"name": "alt"}}}, "Gone": {}}
    both = {
        "Node": {"display_name": "Play", "inputs": {"seed": {"name": "Startwert", "tooltip": "A number."}}}
    }
    assert node_words.merged(english, german) == both
    assert node_words.differences(english, german) == [
        "- Node.display_name: Play",
        "- Node.inputs.seed.tooltip: A number.",
        "+ Node.inputs.old.name",
    ]


def test_the_locales_and_pages_are_those_of_the_languages_meant():
    assert {path.name for path in (ROOT / "locales").iterdir()} == set(LANGUAGES)
    found = {path.relative_to(ROOT / "web/docs").as_posix() for path in (ROOT / "web/docs").rglob("*.md")}
    pages = {f"{node}/{language}.md" for node in SNAPSHOT for language in PAGES}
    assert found == pages | {f"{node}.md" for node in SNAPSHOT}


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_file_is_written_the_one_way(language):
    content = node_words.file_of(language).read_bytes()
    assert content == node_words.text_of(TABLES[language]).encode()


@pytest.mark.parametrize("node", SNAPSHOT)
def test_every_option_is_a_word_or_belongs_to_a_combo_of_values(node):
    for name, options in options_of(node):
        shown = TABLES[ENGLISH][node]["inputs"][name].get("options", {})
        assert set(shown) == options & WORDS
        assert bool(options - WORDS) == (f"{node}.{name}" in VALUED), f"{node}.{name}"


def test_all_words_are_used():
    used = {option for node in SNAPSHOT for _, options in options_of(node) for option in options}
    assert used >= WORDS


@pytest.mark.parametrize("language", LANGUAGES)
def test_nodes_say_whose_they_are(language):
    for node, words in TABLES[language].items():
        assert words["display_name"].endswith(SUFFIX) or node == "AceGraphLoad", node
        assert "ACE-Step" in words["display_name"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_names_of_nodes_differ(language):
    assert len(own_names(language)) == len(TABLES[language])


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_frontend_shows_the_text_as_it_stands(language):
    assert not [text for text in TEXTS[language].values() if SYNTAX.search(text) or text != text.strip()]


@pytest.mark.parametrize("language", TRANSLATED)
def test_nothing_is_left_in_english(language):
    same = set(SAME.get(language, "").split())
    left = {text for place, text in TEXTS[language].items() if text == TEXTS[ENGLISH][place]}
    assert left == same
    writing = re.compile(WRITING[language])
    assert {text for text in TEXTS[language].values() if not writing.search(text)} <= UNWRITTEN


@pytest.mark.parametrize("language", TRANSLATED)
def test_numbers_tags_and_file_names_survive_translation(language):
    for place, text in TEXTS[language].items():
        inputs = TABLES[language][place[0]]["inputs"]
        plain = re.sub(r"(?<=\d)[\s,](?=\d{3})", "", text)
        for literal in LITERAL.findall(TEXTS[ENGLISH][place]) if place[-1] != "name" else ():
            wanted = inputs[literal]["name"] if literal in inputs else literal.replace(",", "")
            assert wanted in plain, (place, literal)


@pytest.mark.parametrize("language", TRANSLATED)
def test_an_option_is_shown_with_its_value_in_it(language):
    for place, text in TEXTS[language].items():
        if place[-2] == "options" and place[-1] not in REQUESTS:
            assert text.startswith(place[-1]), place


def player_words(language: str) -> dict[str, str]:
    """What the player's buttons say: the whole of main.json."""
    (group,) = json.loads((ROOT / "locales" / language / "main.json").read_text(encoding="utf-8")).items()
    assert group[0] == "acestepgraph"
    return group[1]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_player_speaks_every_language(language):
    words, english = player_words(language), player_words(ENGLISH)
    assert list(words) == list(english)
    assert set(words) == set(re.findall(r"\bwords\.(\w+)", PLAYER.read_text(encoding="utf-8")))
    if language != ENGLISH:
        assert not set(words.values()) & set(english.values())
        assert all(re.search(WRITING[language], text) for text in words.values())
    assert not [text for text in words.values() if SYNTAX.search(text)]


# --------------------------------------------------------------------------------------------------- help pages
@pytest.mark.parametrize("node", SNAPSHOT)
def test_a_language_without_a_page_gets_the_english_one(node):
    assert node_words.fallback_of(node).read_bytes() == node_words.page_of(node, ENGLISH).read_bytes()


pages = pytest.mark.parametrize("language", PAGES)
nodes = pytest.mark.parametrize("node", SNAPSHOT)


@pages
@nodes
def test_a_page_names_only_what_can_be_seen_on_the_nodes_it_speaks_of(node, language):
    text = page(node, language)
    names, foreign = own_names(language), {name.strip() for name in COMFYUI[language].split(",")}
    bold = set(BOLD.findall(text))
    assert bold <= foreign | set(names)
    mentioned = {node, "AceGraphSampler", *(names[name] for name in bold & set(names))}
    seen = set().union(*(shown_on(name, language) for name in mentioned))
    assert set(CODE.findall(text)) <= seen


@pages
@nodes
def test_a_page_tells_of_every_socket_that_must_be_wired(node, language):
    inputs = SNAPSHOT[node]["inputs"]
    required = {row["name"] for row in inputs if row["type"] in SOCKETS and not row["optional"]}
    said = set(CODE.findall(page(node, language)))
    assert {TABLES[language][node]["inputs"][name]["name"] for name in required} <= said


@pages
@nodes
def test_a_page_has_the_sections_of_all_pages(node, language):
    lines = page(node, language).splitlines()
    headings = [line for line in lines if line.startswith("#")]
    others = [line for line in page("AceGraphLoad", language).splitlines() if line.startswith("#")]
    assert headings == others
    assert len(headings) == SECTIONS
    assert "\u2192" in lines[-1]
    assert TABLES[language][node]["display_name"].removesuffix(SUFFIX) in lines[-1]


@pages
@nodes
def test_a_page_needs_nothing_but_pictures_beside_it(node, language):
    text = page(node, language)
    assert "<" not in text
    assert "http" not in text
    for is_picture, target in LINK.findall(text):  # the frontend finds them from the folder docs on
        assert is_picture, target
        assert (ROOT / "web/docs" / target).is_file(), target


@nodes
def test_an_english_page_is_short(node):
    assert SHORTEST <= len(page(node, ENGLISH).split()) <= LONGEST


@pytest.mark.parametrize("language", sorted(set(PAGES) - {ENGLISH}))
@nodes
def test_a_page_is_translated_line_by_line(node, language):
    lines, english = (ONE_PER_LINE.split(page(node, code).strip()) for code in (language, ENGLISH))
    assert len(lines) == len(english)
    assert not [line for line in lines if not re.search(WRITING[language], line)]
