"""Tables come row by row, and what is no table is refused with the line."""

import json
from pathlib import Path

import pytest

from acestep_core.errors import InvalidInputError
from batch.tables import rows_of


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_bytes(text.encode("utf-8"))
    return path


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_table_of_text_may_come_from_any_spreadsheet(tmp_path, separator):
    lines = ["\ufeffname", "a.caption"], ["one", '"two, ; and\tlines\n"'], ["", ""], ["three", ""]
    text = "\r\n".join(separator.join(cells) for cells in lines)
    found = list(rows_of(written(tmp_path, "songs.csv", text)))
    assert found == [
        {"name": "one", "a.caption": "two, ; and\tlines\n"},
        {"name": "three", "a.caption": None},
    ]


def test_lines_of_json_keep_their_kinds_and_an_empty_text_is_a_text(tmp_path):
    rows = [{"a": 1, "b": 0.5}, {"a": None, "b": True, "c": ""}]
    text = "\n\n".join(map(json.dumps, rows))
    assert list(rows_of(written(tmp_path, "songs.jsonl", text))) == rows


def test_parquet_equals_the_same_rows_as_json(tmp_path, ray_packages):
    import pyarrow  # the fixture puts it there
    from pyarrow import parquet

    rows = [{"name": f"n{number}", "x": number / 7, "seed": 2**62 + number} for number in range(700)]
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "songs.parquet")
    assert list(rows_of(tmp_path / "songs.parquet")) == rows


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("songs.xlsx", "", "no table"),
        ("songs.csv", "a,a\n1,2\n", "'a' twice"),
        ("songs.csv", "a,b\n1,2,3\n", "line 2: 3 cells under 2"),
        ("songs.csv", 'a,b\n1,"2\n', "cannot be read"),
        ("songs.jsonl", '{"a": 1}\n{"a": \n', "line 2: no JSON"),
        ("songs.jsonl", "[" * 100_000, "line 1: no JSON"),
        ("songs.jsonl", "[1]\n", "line 1: no JSON object"),
        ("songs.jsonl", '{"a": [1]}\n', "'a' holds list"),
        ("songs.parquet", "nothing", "no Parquet"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path, ray_packages, name, text, said):
    with pytest.raises(InvalidInputError, match=said):
        list(rows_of(written(tmp_path, name, text)))


def test_a_table_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(InvalidInputError, match="cannot be read"):
        list(rows_of(tmp_path / "songs.csv"))


def test_rows_are_read_when_they_are_asked_for(tmp_path):
    rows = rows_of(written(tmp_path, "songs.jsonl", '{"a": 1}\nno row\n'))
    assert next(rows) == {"a": 1}  # the second line was not looked at
