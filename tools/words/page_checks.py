"""Faults in the help pages: names that no node shows, sockets untold, sections or lines that others have."""

import re
from collections.abc import Iterator

from tools.words.book import WRITING, Book, others
from tools.words.tables import ENGLISH, PAGES, ROOT

EVERYWHERE = "AceGraphSampler"  # every page may speak of what is on it
MODEL_PAGE = "AceGraphLoad"  # its headings are those of all
COMFYUI = {  # ComfyUI's own nodes that pages name, as its frontend calls them
    language: {name.strip() for name in names.split(",")}
    for language, names in {
        "en": "Load Audio, Preview Any, Invert Mask, Mask Composite, Trim Audio Duration",
        "zh": "加载音频, 预览任意, 反转遮罩, 合成遮罩, 修剪音频时长",
        "ja": "音声を読み込む, プレビュー任意, マスクを反転, マスク合成, オーディオの長さをトリミング",
        "ko": "오디오 로드, 미리보기 아무거나, 마스크 반전, 마스크 합성, 오디오 길이 자르기",
    }.items()
}
CODE, BOLD = re.compile(r"`([^`]+)`"), re.compile(r"\*\*([^*]+)\*\*")
LINK = re.compile(r"(!?)\[[^\]]*\]\(([^)]*)\)")
ONE_PER_LINE = re.compile(r"\n+")
WIRES = {"LATENT", "AUDIO", "MASK"}  # of ComfyUI; our own begin with ACEGRAPH_
ARROW = "\u2192"
SECTIONS = 4
SHORTEST, LONGEST = 140, 320  # words of an English page


def other_languages_get_the_english_page(book: Book) -> Iterator[str]:
    """A language without a page gets the English one."""
    for node, text in book.fallbacks.items():
        if text != book.pages[node, ENGLISH]:
            yield f"{node}.md: run python -m tools.words.tables --update"


def pages_name_only_what_can_be_seen(book: Book) -> Iterator[str]:
    """Bold are nodes, ours or ComfyUI's; code is what stands on the nodes that the page speaks of."""
    for (node, language), text in book.pages.items():
        names, bold = book.names(language), set(BOLD.findall(text))
        unknown = bold - COMFYUI[language] - set(names)
        mentioned = {node, EVERYWHERE, *(names[name] for name in bold & set(names))}
        seen = set().union(*(book.shown_on(name, language) for name in mentioned))
        yield from (
            f"{node}/{language}.md names {name}" for name in unknown | (set(CODE.findall(text)) - seen)
        )


def pages_tell_of_every_socket_that_must_be_wired(book: Book) -> Iterator[str]:
    """Required inputs that are wires."""
    for (node, language), text in book.pages.items():
        for row in book.snapshot[node]["inputs"]:
            is_wire = row["type"] in WIRES or row["type"].startswith("ACEGRAPH_")
            name = book.tables[language][node]["inputs"][row["name"]]["name"]
            if is_wire and not row["optional"] and name not in CODE.findall(text):
                yield f"{node}/{language}.md does not tell of {name}"


def pages_have_the_sections_of_all_pages(book: Book) -> Iterator[str]:
    """The same headings, and a last line with the chain that the node stands in."""
    for (node, language), text in book.pages.items():
        headings = headings_of(text)
        if headings != headings_of(book.pages[MODEL_PAGE, language]) or len(headings) != SECTIONS:
            yield f"{node}/{language}.md has other headings"
        last = text.splitlines()[-1]
        if ARROW not in last or book.name(node, language) not in last:
            yield f"{node}/{language}.md does not end with the node in its chain"


def pages_need_nothing_but_pictures_beside_them(book: Book) -> Iterator[str]:
    """No HTML, no addresses, and pictures that are there; the frontend finds them from the folder docs on."""
    for (node, language), text in book.pages.items():
        yield from (f"{node}/{language}.md holds {sign}" for sign in ("<", "http") if sign in text)
        for is_picture, target in LINK.findall(text):
            if not is_picture or not (ROOT / "web" / "docs" / target).is_file():
                yield f"{node}/{language}.md leads to {target}"


def english_pages_are_short(book: Book) -> Iterator[str]:
    """Neither a line nor a treatise; a table is a picture."""
    for node in book.snapshot:
        lines = book.pages[node, ENGLISH].splitlines()
        words = sum(len(line.split()) for line in lines if not line.startswith("|"))
        if not SHORTEST <= words <= LONGEST:
            yield f"{node}/{ENGLISH}.md has {words} words"


def pages_are_translated_line_by_line(book: Book) -> Iterator[str]:
    """As many lines as the English page, each in the language's own writing."""
    for language in others(PAGES):
        for node in book.snapshot:
            lines, english = (
                ONE_PER_LINE.split(book.pages[node, code].strip()) for code in (language, ENGLISH)
            )
            if len(lines) != len(english):
                yield f"{node}/{language}.md has {len(lines)} lines instead of {len(english)}"
            yield from (
                f"{node}/{language}.md: {line}"
                for line in lines
                if line.strip("|- ") and not WRITING[language].search(line)
            )


def headings_of(text: str) -> list[str]:
    """The lines of a page that begin a section."""
    return [line for line in text.splitlines() if line.startswith("#")]


PAGE_CHECKS = (
    other_languages_get_the_english_page,
    pages_name_only_what_can_be_seen,
    pages_tell_of_every_socket_that_must_be_wired,
    pages_have_the_sections_of_all_pages,
    pages_need_nothing_but_pictures_beside_them,
    english_pages_are_short,
    pages_are_translated_line_by_line,
)
