"""Tables of rows out of CSV, JSON lines and Parquet, one row at a time: a table may be longer than memory."""

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from acestep_core.errors import InvalidInputError
from acestep_core.files import parse_json

Row = Mapping[str, Any]
CELLS = (str, int, float, bool, type(None))
PARQUET_ROWS = 256  # read at a time


def rows_of(path: Path) -> Iterator[Row]:
    """Every row: column -> text, number, truth value, or None where the row says nothing."""
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise InvalidInputError(
            f"{path.name} is no table that can be read.", f"Give a file that ends with {', '.join(READERS)}."
        )
    try:
        yield from reader(path)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InvalidInputError(
            f"{path} cannot be read: {error}.", "Save the table as UTF-8 text."
        ) from error


def csv_rows(path: Path) -> Iterator[Row]:
    """A table of text; an empty cell says nothing."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        yield from delimited(
            path, csv.reader(file, delimiter=delimiter_of(file.readline()), strict=True), file
        )


def delimiter_of(header: str) -> str:
    """What parts the columns: spreadsheets of half the world write semicolons."""
    return max(",;\t", key=header.count)


def delimited(path: Path, lines: Any, file: Any) -> Iterator[Row]:
    """The rows below the header."""
    file.seek(0)
    names = [name.strip().removeprefix("\ufeff") for name in next(lines, [])]
    if doubled := sorted({name for name in names if names.count(name) > 1}):
        raise InvalidInputError(
            f"{path.name} has the column {doubled[0]!r} twice.", "Give every column a name of its own."
        )
    for cells in lines:
        if not any(cells):
            continue
        if len(cells) > len(names):
            raise InvalidInputError(
                f"{path.name}, line {lines.line_num}: {len(cells)} cells under {len(names)} columns.",
                "Put text that holds the separator between double quotes.",
            )
        yield {name: cell or None for name, cell in zip(names, cells + [""] * len(names), strict=False)}


def json_rows(path: Path) -> Iterator[Row]:
    """One JSON object a line; null, and a column that is missing, say nothing."""
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                row = parse_json(line.encode())
            except ValueError as error:
                raise InvalidInputError(
                    f"{path.name}, line {number}: no JSON ({error}).", "Write one JSON object a line."
                ) from error
            if not isinstance(row, dict):
                raise InvalidInputError(
                    f"{path.name}, line {number}: no JSON object.",
                    'Write {"column": value, ...} on every line.',
                )
            yield checked(path, number, row)


def parquet_rows(path: Path) -> Iterator[Row]:
    """Numbers and text as they are stored; null says nothing."""
    try:
        from pyarrow import ArrowException, parquet
    except ImportError as error:
        raise InvalidInputError(
            "Parquet needs pyarrow.", 'Install it with `pip install "ray[data]"`, or save the table as CSV.'
        ) from error
    try:
        number = 0
        for batch in parquet.ParquetFile(path).iter_batches(PARQUET_ROWS):
            for row in batch.to_pylist():
                number += 1
                yield checked(path, number, row)
    except ArrowException as error:
        raise InvalidInputError(f"{path.name} is no Parquet file: {error}.", "Write it again.") from error


def checked(path: Path, number: int, row: Mapping[str, Any]) -> Row:
    """The row, if every cell can be a widget's value."""
    for name, value in row.items():
        if not isinstance(value, CELLS):
            raise InvalidInputError(
                f"{path.name}, row {number}: {name!r} holds {type(value).__name__}.",
                "A cell holds text, a number, true or false.",
            )
    return {name.strip(): value for name, value in row.items()}


READERS = {
    ".csv": csv_rows,
    ".tsv": csv_rows,
    ".jsonl": json_rows,
    ".ndjson": json_rows,
    ".parquet": parquet_rows,
}
