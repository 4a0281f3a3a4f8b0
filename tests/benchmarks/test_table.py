"""What the tables say of a measured number, and that rounding never contradicts it."""

import json

import pytest

from benchmarks.figures import table
from benchmarks.harness import Row


@pytest.mark.parametrize(
    ("measured", "gate", "goal", "said"),
    [
        (2.0, None, None, ""),
        (2.0, 1.5, None, "gate"),
        (1.0, 1.5, None, "missed"),
        (2.0, 1.5, 1.8, "goal"),
        (1.6, 1.5, 1.8, "gate"),
        (2.0, None, 1.8, "goal"),
        (1.6, None, 1.8, ""),  # a goal that is missed is no gate
    ],
)
def test_a_number_is_called_what_it_reaches(measured, gate, goal, said):
    assert table.verdict(Row("it", measured, gate=gate, goal=goal)) == said


@pytest.mark.parametrize(
    ("measured", "shown"), [(1.8951, "1.895x"), (1.90, "1.9x"), (1.92, "1.92x"), (1.8, "1.8x")]
)
def test_a_number_has_as_many_digits_as_its_verdict_needs(measured, shown):
    assert f"| it | {shown} | >= 1.9x |" in table.markdown([Row("it", measured, gate=1.9)])


def test_a_result_says_when_it_was_measured_and_of_what(monkeypatch, tmp_path):
    monkeypatch.setattr(table, "RESULTS", tmp_path)
    rows = [Row("it", 2.0)]
    table.save("it", {"cpu": "one"}, rows)
    assert set(json.loads((tmp_path / "it.json").read_text())["measured"]) == {"on", "commit"}
    assert table.stored("it") == ({"cpu": "one"}, rows)
