"""Finished rows are skipped, changed rows, graphs and versions are not; a long table costs no memory."""

import tracemalloc
from pathlib import Path

import pytest

from acestep_core.errors import InvalidInputError
from batch.graphs import api_graph, changed
from batch.manifest import DONE, FAILED, Manifest, Record, records
from batch.plan import Plan, Planner, Song
from batch.publish import File

PROMPT = {"1": {"class_type": "Words", "inputs": {"caption": "c", "seed": 3}}}
ROWS = [{"name": name, "1.caption": name.upper()} for name in "abc"]


def look(folder: Path, rows, prompt=PROMPT, version="0.1.0", retry=False, **more) -> Plan:
    """Plan a table against a folder."""
    songs = folder.parent / f"{len(list(folder.parent.iterdir()))}.jsonl"
    with Manifest(folder) as manifest:
        return Planner(api_graph(prompt), version, manifest, retry).plan(rows, songs, **more)


def played(folder: Path, rows, failing=(), **more) -> list[str]:
    """Plan a table, play what is left, and tell its names."""
    plan = look(folder, rows, **more)
    with Manifest(folder) as manifest:
        for song in plan.waiting():
            state = FAILED if song.name in failing else DONE
            files = [] if song.name in failing else [File(".txt", song.line().encode())]
            manifest.keep(
                Record(song.name, song.row, song.key, state, song.seed, (), (), 0, "", "", ""), files
            )
    return [song.name for song in plan.waiting()]


def test_every_row_is_played_once(tmp_path):
    out = tmp_path / "out"
    assert played(out, ROWS) == ["a", "b", "c"]
    assert played(out, ROWS) == []
    assert played(out, [*ROWS[::-1], {"name": "d", "1.caption": "D"}]) == ["d"]


def test_a_changed_row_graph_or_version_is_played_anew(tmp_path):
    out = tmp_path / "out"
    played(out, ROWS)
    assert played(out, [{**ROWS[0], "1.caption": "other"}, *ROWS[1:]]) == ["a"]
    assert played(out, ROWS) == ["a"]
    assert played(out, [{**row, "seed": 4} for row in ROWS]) == ["a", "b", "c"]
    assert (
        played(out, ROWS, prompt={"1": {"class_type": "Words", "inputs": {"caption": "c", "seed": 4}}}) == []
    )
    assert played(out, ROWS) == ["a", "b", "c"]
    assert played(out, ROWS) == []
    assert played(out, ROWS, version="0.2.0") == ["a", "b", "c"]
    assert len(list(records(out))) == 3


def test_a_value_says_the_same_in_the_row_and_in_the_graph(tmp_path):
    out = tmp_path / "out"
    played(out, ROWS)
    assert played(out, [{**row, "seed": "3"} for row in ROWS]) == []


def test_failed_rows_are_played_again_only_when_that_is_asked_for(tmp_path):
    out = tmp_path / "out"
    assert played(out, ROWS, failing="b") == ["a", "b", "c"]
    assert look(out, ROWS).failed == 1
    assert played(out, ROWS) == []
    assert played(out, [ROWS[0], {**ROWS[1], "1.caption": "better"}]) == ["b"]
    assert played(out, ROWS, failing="b") == ["b"]
    assert played(out, ROWS, retry=True) == ["b"]


def test_a_cell_that_fits_no_widget_fails_its_row_alone(tmp_path):
    rows = [{"name": "a", "seed": "x"}, {"name": "b", "seed": "1"}]
    plan = look(tmp_path / "out", rows)
    assert (plan.left, plan.refused) == (1, 1)
    (record,) = records(tmp_path / "out")
    assert (record["name"], record["state"]) == ("a", FAILED)
    assert record["error"] == "seed cannot be 'x'. It takes a whole number."
    assert look(tmp_path / "out", rows).failed == 1
    assert played(tmp_path / "out", [{"name": "a", "seed": "2"}, rows[1]]) == ["a", "b"]


def test_a_look_leaves_nothing(tmp_path):
    plan = look(tmp_path / "out", [{"name": "a", "seed": "x"}, *ROWS[1:]], keeps=False)
    assert (plan.left, plan.refused) == (2, 1)
    assert not list(records(tmp_path / "out")) if (tmp_path / "out" / "manifest.jsonl").exists() else True
    assert plan.sentence() == "2 rows to play, 1 refused."


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{"name": "a"}, {"name": "b"}, {"name": "A"}], "Rows 1 and 3 are both called 'A'"),
        ([{"name": "a", "2.caption": None}], "No widget of the graph is called '2.caption'"),
        ([{"name": "../a"}], "cannot be the name"),
    ],
)
def test_a_table_with_a_fault_of_its_own_is_refused(tmp_path, rows, said):
    with pytest.raises(InvalidInputError, match=said):
        look(tmp_path / "out", rows)


def test_the_first_prompts_are_those_that_run(tmp_path):
    rows = [{"name": f"{number}", "1.caption": f"c{number}", "seed": number} for number in range(5)]
    plan = look(tmp_path / "out", rows)
    songs = list(plan.waiting())
    assert plan.first == [changed(PROMPT, song.changes) for song in songs[:3]]
    assert plan.first[2]["1"]["inputs"] == {"caption": "c2", "seed": 2}
    assert [song.seed for song in songs] == [0, 1, 2, 3, 4]
    assert all(Song.parsed(song.line()) == song for song in songs)


def test_memory_does_not_grow_with_the_table(tmp_path):
    def peak(count: int) -> int:
        rows = ({"name": f"n{number}", "1.caption": "x" * 500, "seed": number} for number in range(count))
        tracemalloc.start()
        plan = look(tmp_path / str(count), rows)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert plan.left == count
        return found

    peak(10)
    small = peak(200)
    assert peak(4000) < small + 100_000  # 3800 more captions alone have 1.9 MB
