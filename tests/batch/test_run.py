"""Whatever comes back, and however often, every row ends once; what is no row's fault stops the run."""

import pytest

from acestep_core.errors import FileError
from batch.graphs import api_graph
from batch.manifest import DONE, FAILED, Manifest, records
from batch.plan import Planner
from batch.publish import File
from batch.run import Outcome, UnfitWorkerError, collect

PROMPT = {"1": {"class_type": "Words", "inputs": {"caption": "c", "seed": 3}}}
ROWS = [{"name": name, "seed": number} for number, name in enumerate("abcd")]


@pytest.fixture
def manifest(tmp_path):
    with Manifest(tmp_path / "out") as opened:
        yield opened


@pytest.fixture
def plan(manifest, tmp_path):
    return Planner(api_graph(PROMPT), "0.1.0", manifest).plan(ROWS, tmp_path / "songs")


def made(song, error="", content=None) -> Outcome:
    return Outcome(song, 1.25, "w:1", error, () if error else [File(".txt", (content or song.name).encode())])


def ended(manifest) -> dict[str, str]:
    found = list(records(manifest.folder))
    assert len({one["name"] for one in found}) == len(found)
    return {one["name"]: one["state"] for one in found}


def run(plan, outcomes, manifest):
    return collect(plan, outcomes, manifest, "0.1.0", lambda line: None)


def test_rows_may_come_in_any_order_and_twice(plan, manifest):
    a, b, c, d = plan.waiting()
    progress = run(
        plan, [made(d), made(a), made(a, content="again"), made(b, "No."), made(b), made(c)], manifest
    )
    assert ended(manifest) == {"a": DONE, "b": FAILED, "c": DONE, "d": DONE}
    assert (progress.done, progress.failed) == (3, 1)
    assert (manifest.folder / "a.txt").read_text() == "a"
    assert not (manifest.folder / "b.txt").exists()


def test_the_record_tells_everything(plan, manifest):
    song = list(plan.waiting())[2]
    run(plan, [made(song)], manifest)
    (record,) = (one for one in records(manifest.folder) if one["name"] == "c")
    sha256_of_c = "2e7d2c03a9507ae265ecf5b5356885a53393a2029d241394997265a1a25aefc6"
    assert record == {
        "name": "c",
        "row": 3,
        "key": song.key,
        "state": DONE,
        "seed": 2,
        "files": ["c.txt"],
        "sha256": [sha256_of_c],
        "seconds": 1.25,
        "worker": "w:1",
        "error": "",
        "version": "0.1.0",
        "outdated": [],
    }


def test_a_row_that_never_comes_has_lost_its_worker(plan, manifest):
    a, b, _, d = plan.waiting()
    progress = run(plan, [made(a), made(b), made(d)], manifest)
    assert ended(manifest) == {"a": DONE, "b": DONE, "c": FAILED, "d": DONE}
    assert progress.failed == 1
    (record,) = (one for one in records(manifest.folder) if one["name"] == "c")
    assert record["error"] == "Its worker died 4 times: it was killed, or memory was short."


def test_when_nothing_comes_no_row_is_to_blame(plan, manifest):
    with pytest.raises(UnfitWorkerError, match="Every worker died"):
        run(plan, [], manifest)
    assert ended(manifest) == {}


def test_a_worker_that_can_play_nothing_stops_the_run(plan, manifest):
    a, b, *_ = plan.waiting()
    with pytest.raises(UnfitWorkerError, match="no checkpoint"):
        run(plan, [made(a), Outcome(b, 0, "w", unfit="There is no checkpoint.")], manifest)
    assert ended(manifest) == {"a": DONE}


def test_a_name_that_is_taken_fails_its_row_and_a_full_disk_stops_the_run(plan, manifest, monkeypatch):
    (manifest.folder / "b.txt").write_text("mine")
    a, b, c, _ = plan.waiting()

    def outcomes():
        yield from (made(a), made(b))
        monkeypatch.setattr(manifest, "_append", no_room)
        yield made(c)
        raise AssertionError("the run goes on")

    def no_room(*_, **__):
        raise FileError("No space left on device.", "Choose a folder that has room.")

    with pytest.raises(FileError, match="No space"):
        run(plan, outcomes(), manifest)
    assert ended(manifest) == {"a": DONE, "b": FAILED}
    assert (manifest.folder / "b.txt").read_text() == "mine"
