"""Faults in the locales: entries missing, left over, left in English, or changed where they may not be."""

import re
from collections.abc import Iterator

from tools.words import tables
from tools.words.book import SUFFIX, WRITING, Book
from tools.words.tables import ENGLISH, LANGUAGES, PAGES, REQUESTS, ROOT, TRANSLATED, WORDS

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
    "AceGraphSaveLyrics.form",
    "AceGraphToModel.guidance_kind",
}
SAME = {  # words that these languages share with English
    "fr": "audio bpm codes conditions format instrumental latent original plan sigmas source timbre variation",
    "es": "audio bpm instrumental original plan sigmas timbre",
}
UNWRITTEN = {"VAE", "BPM", "EMA", "Latent", "Sigmas"}  # names that stay in Latin letters
LITERAL = re.compile(r"%\w+%|\[[A-Z]\w+\]|-?\d+(?:[.,]\d+)*|\w+/\w+|[\w.]+\.(?:safetensors|json)|\w+_\w+\b")
SYNTAX = re.compile(r"[{}@|]")  # what the frontend's message compiler would not show as it stands


def files_are_those_of_the_languages_meant(book: Book) -> Iterator[str]:
    """No locale and no page too few or too many; reads the disk, as only that knows what is too many."""
    found = {path.name for path in (ROOT / "locales").iterdir()}
    yield from (f"locales/{name}" for name in found ^ set(LANGUAGES))
    docs = ROOT / "web" / "docs"
    there = {path.relative_to(docs).as_posix() for path in docs.rglob("*.md")}
    wanted = {f"{node}/{language}.md" for node in book.snapshot for language in PAGES}
    yield from (f"web/docs/{name}" for name in there ^ (wanted | {f"{node}.md" for node in book.snapshot}))


def english_is_that_of_the_snapshot(book: Book) -> Iterator[str]:
    """The nodes, inputs and outputs that the snapshot has."""
    table = book.tables[ENGLISH]
    yield from (f"{ENGLISH}: {node}" for node in set(table) ^ set(book.snapshot))
    for node in set(table) & set(book.snapshot):
        words, kept = table[node], book.snapshot[node]
        if list(words["inputs"]) != [row["name"] for row in kept["inputs"]]:
            yield f"{ENGLISH}: {node} has other inputs"
        if [output["name"] for output in words["outputs"].values()] != [name for name, _ in kept["outputs"]]:
            yield f"{ENGLISH}: {node} has other outputs"


def nothing_is_missing_or_left_over(book: Book) -> Iterator[str]:
    """Every entry of English in every language, and in its order."""
    for language in TRANSLATED:
        found = tables.differences(book.tables[ENGLISH], book.tables[language])
        yield from (f"{language} {line}" for line in found)
        if not found and list(book.texts[language]) != list(book.texts[ENGLISH]):
            yield f"{language}: the entries stand in another order"


def files_are_written_the_one_way(book: Book) -> Iterator[str]:
    """As `tables` writes them."""
    for language, text in book.files.items():
        if text != tables.text_of(book.tables[language]):
            yield f"{language}: run python -m tools.words.tables --update"


def every_option_is_a_word_or_belongs_to_a_combo_of_values(book: Book) -> Iterator[str]:
    """WORDS are translated, and all of them are used; combos of values are those of VALUED."""
    used = set()
    for node in book.snapshot:
        for name, options in book.options(node):
            used |= options
            shown = book.tables[ENGLISH][node]["inputs"][name].get("options", {})
            if set(shown) != options & WORDS:
                yield f"{node}.{name}: {sorted(set(shown) ^ (options & WORDS))}"
            if bool(options - WORDS) != (f"{node}.{name}" in VALUED):
                yield f"{node}.{name}: {sorted(options - WORDS) or 'holds no values'}"
    yield from (f"no combo has the option {word}" for word in WORDS - used)


def nodes_say_whose_they_are(book: Book) -> Iterator[str]:
    """All names say ACE-Step, and no two nodes of a language have one name."""
    for language, table in book.tables.items():
        for node, words in table.items():
            name = words["display_name"]
            if "ACE-Step" not in name or not (name.endswith(SUFFIX) or node == "AceGraphLoad"):
                yield f"{language}: {node} is called {name}"
        if len(book.names(language)) != len(table):
            yield f"{language}: two nodes have one name"


def the_frontend_shows_texts_as_they_stand(book: Book) -> Iterator[str]:
    """No signs of its message compiler, no blanks at the ends."""
    for language, texts in book.texts.items():
        spoken = [*texts.values(), *book.player[language].values()]
        yield from (f"{language}: {text}" for text in spoken if SYNTAX.search(text) or text != text.strip())


def nothing_is_left_in_english(book: Book) -> Iterator[str]:
    """But for what a language shares with English, and for names that stay in Latin letters."""
    for language in TRANSLATED:
        texts, english = book.texts[language], book.texts[ENGLISH]
        left = {text for place, text in texts.items() if text == english.get(place)}
        yield from (f"{language}: {text}" for text in left ^ set(SAME.get(language, "").split()))
        foreign = {text for text in texts.values() if not WRITING[language].search(text)}
        yield from (f"{language}: {text}" for text in foreign - UNWRITTEN)


def numbers_tags_and_file_names_survive(book: Book) -> Iterator[str]:
    """What is literal in English is so in every language; names of inputs are the translated ones."""
    for language in TRANSLATED:
        for place, text in book.texts[language].items():
            if place[-1] == "name":
                continue
            inputs = book.tables[language][place[0]]["inputs"]
            plain = re.sub(r"(?<=\d)[\s,](?=\d{3})", "", text)
            for literal in LITERAL.findall(book.texts[ENGLISH].get(place, "")):
                wanted = inputs[literal]["name"] if literal in inputs else literal.replace(",", "")
                if wanted not in plain:
                    yield f"{language}: {'.'.join(place)} lacks {wanted}"


def options_are_shown_with_their_values(book: Book) -> Iterator[str]:
    """A musician who reads of `auto` finds it in every language."""
    for language in TRANSLATED:
        for place, text in book.texts[language].items():
            if place[-2] == "options" and place[-1] not in REQUESTS and not text.startswith(place[-1]):
                yield f"{language}: {'.'.join(place)} is shown as {text}"


def asked_by(source: str, known: set[str]) -> set[str]:
    """The words that scripts ask for: as an argument of `word`, or by a name that stands somewhere; region editors put "region"
    before theirs."""
    named = set(re.findall(r'"(\w+)"', source))
    found = {word for word in known if word in named or region_word(word) in named}
    calls = re.findall(r'\b(word|regionWord)\([^()"]*"(\w+)"(?: : "(\w+)")?', source)
    asked = {(kind, word) for kind, *words in calls for word in words if word}
    return found | {word if kind == "word" else f"region{word[0].upper()}{word[1:]}" for kind, word in asked}


def region_word(word: str) -> str:
    """ "play" of "regionPlay"."""
    rest = word.removeprefix("region")
    return rest[:1].lower() + rest[1:]


def the_player_speaks_every_language(book: Book) -> Iterator[str]:
    """The words that our scripts ask for, each in the language's own writing."""
    english = book.player[ENGLISH]
    asked = asked_by(book.player_source, set(english))
    for language, words in book.player.items():
        if list(words) != list(english) or set(words) != asked:
            yield f"{language}: the player lacks or has too much: {sorted(set(words) ^ asked) or 'order'}"
        if language == ENGLISH:
            continue
        yield from (f"{language}: {text}" for text in set(words.values()) & set(english.values()))
        yield from (f"{language}: {text}" for text in words.values() if not WRITING[language].search(text))


WHOLENESS_CHECKS = (  # the others look up what these have seen to be there
    files_are_those_of_the_languages_meant,
    english_is_that_of_the_snapshot,
    nothing_is_missing_or_left_over,
)
TEXT_CHECKS = (
    files_are_written_the_one_way,
    every_option_is_a_word_or_belongs_to_a_combo_of_values,
    nodes_say_whose_they_are,
    the_frontend_shows_texts_as_they_stand,
    nothing_is_left_in_english,
    numbers_tags_and_file_names_survive,
    options_are_shown_with_their_values,
    the_player_speaks_every_language,
)
