"""The words that users read against the running schemas, and as the real server hands them to the frontend."""

import json

import pytest

from tools.words import snapshot as node_snapshot
from tools.words import tables as node_words

SNAPSHOT = json.loads(node_snapshot.FILE.read_text(encoding="utf-8"))


def test_english_is_what_the_schemas_say(host, pack):
    now = node_words.words_of(node_snapshot.infos_of(host), SNAPSHOT)
    assert node_words.words_in(node_words.ENGLISH) == now, (
        "run python -m tools.words.tables --update, then translate"
    )


@pytest.mark.parametrize("language", node_words.LANGUAGES)
def test_the_server_hands_out_every_locale(server, language):
    found = server.get("/i18n")[language]["nodeDefs"]
    assert {node: found[node] for node in SNAPSHOT} == node_words.words_in(language)


@pytest.mark.parametrize("node", SNAPSHOT)
def test_the_server_hands_out_the_help_pages(server, node):
    for language in node_words.PAGES:
        page = server.read(f"/extensions/acestep-graph/docs/{node}/{language}.md")
        assert page == node_words.page_of(node, language).read_bytes()
