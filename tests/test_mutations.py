"""The deliberate mistakes of tools/mutations can be made: each finds its place, and the tests that have to notice it."""

from collections import Counter

import pytest

from tools.mutations.run import ALL, ROOT, files_of_tests, source_of

FILES = files_of_tests()


@pytest.mark.parametrize("file", sorted({mutation.file for mutation in ALL}))
def test_what_a_mutation_replaces_occurs_once_in_its_file(file):
    rows = [m for m in ALL if m.file == file]
    source = (ROOT / source_of(rows[0])).read_text(encoding="utf-8")
    places = {m.words: source.count(m.old) for m in rows}
    assert not {words: count for words, count in places.items() if count != 1}


def test_a_mutation_changes_something():
    assert not [mutation.words for mutation in ALL if mutation.old == mutation.new]


def test_rows_have_names_of_their_own():
    counts = Counter((mutation.file, mutation.words) for mutation in ALL)
    assert not [row for row, count in counts.items() if count > 1]


def test_every_test_file_of_the_core_has_a_name_of_its_own():
    assert not {name: paths for name, paths in FILES.items() if len(paths) > 1}


def test_the_tests_that_have_to_notice_exist():
    assert not {name for mutation in ALL for name in mutation.tests.split()} - set(FILES)
