"""New files beside those of other processes: nothing is overwritten, lost or left behind."""

import json
import multiprocessing
import os
import time
import warnings

import pytest

PROCESSES, SAVES = 4, 40


@pytest.fixture
def out(host, pack):
    folder = host.base / "output" / "many"
    folder.mkdir(parents=True, exist_ok=True)
    yield folder
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()


def refuse(*paths):
    raise PermissionError(1, "Operation not permitted")


@pytest.fixture(params=["links", "no links", "no os.link"])
def links(request, monkeypatch):
    """File systems that have hard links, those that refuse them, and systems that know none."""
    if request.param == "no links":
        monkeypatch.setattr(os, "link", refuse)
    if request.param == "no os.link":
        monkeypatch.delattr(os, "link")


def save_many(pack, process):
    for number in range(SAVES):
        names = pack.nodes.host.output_files.FreeNames("many/song")  # one per run of a node
        names.write(0, {".json": json.dumps([process, number]).encode()})


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the pack is loaded once, and handed on by fork")
def test_processes_that_share_a_folder_lose_nothing(pack, out, links):
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", DeprecationWarning
        )  # of forking with threads, which the children never use
        context = multiprocessing.get_context("fork")
        children = [context.Process(target=save_many, args=(pack, number)) for number in range(PROCESSES)]
        for child in children:
            child.start()
    for child in children:
        child.join(120)
    assert [child.exitcode for child in children] == [0] * PROCESSES
    found = [tuple(json.loads(path.read_bytes())) for path in out.iterdir()]
    assert sorted(found) == [(process, number) for process in range(PROCESSES) for number in range(SAVES)]


def test_a_name_that_was_taken_since_it_was_looked_at_is_left_alone(pack, out, links, monkeypatch):
    (out / "song_00001_.flac").write_bytes(b"of another process")
    (out / "song_00002_.json").write_bytes(b"of a third one")
    names = pack.nodes.host.output_files.FreeNames("many/song")
    names._counter = 1
    monkeypatch.setattr(os.path, "lexists", lambda path: False)
    written = names.write(0, {".flac": b"song", ".json": b"workflow"})
    assert [path.name for path in written] == ["song_00003_.flac", "song_00003_.json"]
    assert {path.name: path.read_bytes() for path in out.iterdir()} == {
        "song_00001_.flac": b"of another process",
        "song_00002_.json": b"of a third one",
        "song_00003_.flac": b"song",
        "song_00003_.json": b"workflow",
    }


def test_what_a_killed_process_left_is_removed_once_it_is_old(pack, out):
    old, young, foreign = (
        out / f"{name}.part" for name in (".0123456789abcdef", ".fedcba9876543210", "my song")
    )
    folder = out / ".00112233445566aa.part"
    folder.mkdir()
    for path in (old, young, foreign):
        path.write_bytes(b"half a song")
    long_ago = time.time() - 2 * 3600
    for path in (old, foreign, folder):
        os.utime(path, (long_ago, long_ago))
    (written,) = pack.nodes.host.output_files.FreeNames("many/song").write(0, {".json": b"{}"})
    assert set(out.iterdir()) == {young, foreign, folder, written}
    folder.rmdir()
