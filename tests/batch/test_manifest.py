"""Every row ends exactly once in the manifest, whatever dies when; what a row makes is there whole or not at all."""

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from acestep_core.errors import FileError, InvalidInputError
from batch import manifest as manifests
from batch import publish as publishing
from batch.manifest import DONE, FAILED, Manifest, Record, records
from batch.publish import File, TakenError

ONE = [File(".flac", b"one" * 1000)]
TWO = [File("_1.flac", b"first"), File("_2.flac", b"second")]


def record(name: str, key: str = "k", state: str = DONE, **more) -> Record:
    error = "" if state == DONE else "It failed."
    return Record(name, 1, key, state, 5, (), (), 0.5, "w:1", error, "0.1.0", **more)


def content(folder: Path) -> dict[str, bytes]:
    """All that a user sees."""
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    seen = (name for name in files if not name.startswith(".") and name != manifests.FILE)
    return {name: files[name].read_bytes() for name in seen}


def told(folder: Path) -> dict[str, tuple[str, str]]:
    found = list(records(folder))
    assert len({one["name"].casefold() for one in found}) == len(found)  # each exactly once
    return {one["name"]: (one["key"], one["state"]) for one in found}


def test_what_is_kept_is_found_again(tmp_path):
    with Manifest(tmp_path) as manifest:
        manifest.keep(record("a"), ONE)
        manifest.keep(record("b"), TWO)
        manifest.keep(record("c", state=FAILED))
    with Manifest(tmp_path) as manifest:
        finished = {name: manifest.is_finished(name, "k") for name in "abcd"}
        assert finished == {"a": True, "b": True, "c": False, "d": False}
        assert not manifest.is_finished("a", "other")
    assert content(tmp_path) == {"a.flac": ONE[0].content, "b/b_1.flac": b"first", "b/b_2.flac": b"second"}
    first = next(records(tmp_path))
    assert first["files"] == ["a.flac"]
    assert (first["row"], first["seed"], first["worker"], first["version"]) == (1, 5, "w:1", "0.1.0")


def test_a_file_that_was_deleted_is_no_finished_row(tmp_path):
    with Manifest(tmp_path) as manifest:
        manifest.keep(record("a"), ONE)
        (tmp_path / "a.flac").unlink()
        assert not manifest.is_finished("a", "k")


@pytest.mark.parametrize(("first", "second"), [(ONE, TWO), (TWO, ONE), (ONE, ONE), (TWO, TWO)])
def test_a_changed_row_replaces_its_files_and_its_record(tmp_path, first, second):
    with Manifest(tmp_path) as manifest:
        manifest.keep(record("a", "old"), first)
    with Manifest(tmp_path) as manifest:
        manifest.keep(record("a", "new"), second)
    assert told(tmp_path) == {"a": ("new", DONE)}
    assert set(content(tmp_path)) == ({"a.flac"} if second is ONE else {"a/a_1.flac", "a/a_2.flac"})


def test_a_changed_row_that_fails_leaves_the_old_song_until_it_is_done(tmp_path):
    for key, state, files in (("old", DONE, ONE), ("new", FAILED, []), ("new", FAILED, [])):
        with Manifest(tmp_path) as manifest:
            manifest.keep(record("a", key, state), files)
    assert told(tmp_path) == {"a": ("new", FAILED)}
    assert set(content(tmp_path)) == {"a.flac"}
    with Manifest(tmp_path) as manifest:
        manifest.keep(record("a", "new"), TWO)
    assert set(content(tmp_path)) == {"a/a_1.flac", "a/a_2.flac"}


@pytest.mark.parametrize("files", [ONE, TWO])
def test_what_is_not_ours_is_never_replaced(tmp_path, files):
    taken = tmp_path / ("a.flac" if files is ONE else "a")
    taken.write_bytes(b"mine")
    with Manifest(tmp_path) as manifest, pytest.raises(TakenError, match="does not come from this table"):
        manifest.keep(record("a"), files)
    assert taken.read_bytes() == b"mine"
    assert told(tmp_path) == {}


def interrupted(monkeypatch, after: int, fault: Callable[[], None]) -> None:
    """The call of this number that changes the disk never happens: `fault` does."""
    count = [0]

    def counted(plain):
        def call(*words, **more):
            count[0] += 1
            if count[0] == after:
                fault()
            return plain(*words, **more)

        return call

    for name in ("replace", "rename", "mkdir"):
        monkeypatch.setattr(Path, name, counted(getattr(Path, name)))
    monkeypatch.setattr(os, "fsync", counted(os.fsync))
    monkeypatch.setattr(publishing, "settled", counted(publishing.settled))


def killed() -> None:
    """As kill -9 does: nothing is tidied up."""
    os._exit(9)


def full() -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def keep_until(folder: Path, files, after: int, fault: Callable[[], None]) -> bool:
    """Keep a row in a process of its own, which meets the fault; whether it came to its end."""
    if child := os.fork():
        return os.waitpid(child, 0)[1] == 0
    code = 1
    try:
        with pytest.MonkeyPatch.context() as patch, Manifest(folder) as manifest:
            interrupted(patch, after, fault)
            manifest.keep(record("a", "new"), files)
        code = 0
    except FileError:
        code = 2
    finally:
        os._exit(code)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no kill -9 either")
@pytest.mark.parametrize("files", [ONE, TWO])
@pytest.mark.parametrize("before", [None, ONE, TWO])
@pytest.mark.parametrize("fault", [killed, full])
def test_wherever_a_run_dies_the_next_one_finds_whole_rows_and_ends_the_same(tmp_path, files, before, fault):
    for after in range(1, 30):
        folder = tmp_path / str(after)
        with Manifest(folder) as manifest:
            manifest.keep(record("other"), ONE)
            if before:
                manifest.keep(record("a", "old"), before)
        is_through = keep_until(folder, files, after, fault)
        assert_whole(folder, files, before)
        with Manifest(folder) as manifest:
            assert_whole(folder, files, before)
            hidden = {path.name for path in folder.rglob(".*")}
            assert hidden == {manifests.LOCK}
            if not manifest.is_finished("a", "new"):
                manifest.keep(record("a", "new"), files)
        assert told(folder) == {"other": ("k", DONE), "a": ("new", DONE)}
        assert len(content(folder)) == 1 + len(files)
        if is_through:
            break
    assert 5 <= after < 29  # the fault met every call, and then none


def assert_whole(folder: Path, files, before) -> None:
    """Every visible file is one that was meant, and a group of files is complete."""
    sets = [
        {f"a/a{file.suffix}" if len(group) > 1 else f"a{file.suffix}": file.content for file in group}
        for group in (files, before or [])
    ]
    seen = {name: data for name, data in content(folder).items() if not name.startswith("other")}
    known = {**sets[1], **sets[0]}
    assert all(data == known[name] for name, data in seen.items())
    for names in map(set, sets):
        assert not names & set(seen) or names <= set(seen)


def test_a_full_disk_says_so_and_half_a_line_is_taken_back(tmp_path, monkeypatch):
    with Manifest(tmp_path) as manifest:
        manifest.keep(record("a"), ONE)
        whole = (tmp_path / manifests.FILE).read_bytes()

        class Full:
            """The manifest's file, on a disk with room for half a line."""

            def __getattr__(self, name):
                return getattr(plain, name)

            def write(self, line):
                return plain.write(line[: len(line) // 2])

        plain, manifest._file = manifest._file, Full()
        with pytest.raises(FileError, match="No space left on device"):
            manifest.keep(record("b"), ONE)
        assert (tmp_path / manifests.FILE).read_bytes() == whole
        manifest._file = plain
    with Manifest(tmp_path):
        assert set(content(tmp_path)) == {"a.flac"}


@pytest.mark.parametrize("broken", [b"{}", b"[" * 100_000], ids=["empty", "deep"])
def test_a_line_that_was_cut_off_is_forgotten_and_a_broken_one_is_refused(tmp_path, broken):
    with Manifest(tmp_path) as manifest:
        manifest.keep(record("a"), ONE)
        manifest.keep(record("b"), ONE)
    path = tmp_path / manifests.FILE
    whole = path.read_bytes()
    path.write_bytes(whole[:-7])
    with Manifest(tmp_path) as manifest:
        assert manifest.is_finished("a", "k")
        assert not manifest.is_finished("b", "k")
        manifest.keep(record("c"), ONE)
    assert set(told(tmp_path)) == {"a", "c"}
    path.write_bytes(broken + b"\n" + whole)
    with pytest.raises(InvalidInputError, match="line 1"):
        Manifest(tmp_path)


def test_a_journal_that_nobody_can_read_is_forgotten(tmp_path):
    (tmp_path / publishing.JOURNAL).write_bytes(b"[" * 100_000)
    with Manifest(tmp_path):
        assert not (tmp_path / publishing.JOURNAL).exists()


@pytest.mark.parametrize("escape", ["../x.flac", "/etc/x", "a/../../x", "C:\\x"])
def test_a_manifest_cannot_reach_out_of_its_folder(tmp_path, escape):
    line = json.dumps({"name": "a", "key": "k", "state": DONE, "files": [escape]})
    (tmp_path / manifests.FILE).write_text(line + "\n")
    with pytest.raises(InvalidInputError, match="line 1"):
        Manifest(tmp_path)
    (tmp_path / manifests.FILE).unlink()
    outside = tmp_path / "x.flac"
    outside.write_bytes(b"mine")
    (tmp_path / "out").mkdir()
    journal = {"name": "a", "key": "k", "target": escape, "old": []}
    (tmp_path / "out" / publishing.JOURNAL).write_text(json.dumps(journal))
    with Manifest(tmp_path / "out"):
        assert outside.exists()


def test_two_runs_cannot_write_to_one_folder(tmp_path):
    with Manifest(tmp_path), pytest.raises(FileError, match="Another run"):
        Manifest(tmp_path)
    with Manifest(tmp_path):
        pass


def test_two_rows_cannot_have_one_name(tmp_path):
    with Manifest(tmp_path) as manifest:
        manifest.keep(record("Old"), ONE)
        assert [manifest.claim(*one) for one in (("a", 1), ("b", 2), ("A", 3), ("old", 4))] == [
            None,
            None,
            1,
            None,
        ]


def test_a_folder_that_cannot_be_written_to_is_refused(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(FileError, match="cannot be written"):
        Manifest(tmp_path / "file" / "out")
