"""A name is a file's name on every system, or it is refused."""

import pytest

from acestep_core.errors import InvalidInputError
from batch.names import name_of


def test_without_a_name_a_row_has_its_number():
    assert name_of(None, 7) == "row_00007"


@pytest.mark.parametrize("cell", ["a", "Füße 1", "it's (mine)", 12, "a.b", "-x"])
def test_plain_names_are_kept(cell):
    assert name_of(cell, 1) == str(cell)


@pytest.mark.parametrize(
    "cell",
    [
        "",
        "  ",
        "..",
        ".hidden",
        "a/b",
        "a\\b",
        "../a",
        "C:a",
        "a.",
        "con",
        "NUL.x",
        "manifest",
        "a\nb",
        "a" * 121,
        "\ud800",
    ],
)
def test_others_are_refused(cell):
    with pytest.raises(InvalidInputError, match="cannot be the name"):
        name_of(cell, 1)
