"""Files that are written whole or not at all, and JSON that has to be an object."""

import errno
import os
from pathlib import Path

import pytest

from acestep_core import files
from acestep_core.errors import FileError, UnsupportedCheckpointError
from acestep_core.files import is_file, is_folder, read_json, write_new, write_whole


def test_what_was_written_is_there_and_nothing_besides(tmp_path):
    path = tmp_path / "codes.json"
    path.write_bytes(b"older")
    write_whole(path, memoryview(b"newer"))
    assert path.read_bytes() == b"newer"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("code", "remedy"), [(errno.ENOSPC, "has room"), (errno.ENAMETOOLONG, "Choose a shorter name")]
)
def test_what_cannot_be_written_leaves_what_was_there(tmp_path, monkeypatch, code, remedy):
    def full(descriptor):
        raise OSError(code, os.strerror(code))

    path = tmp_path / "codes.json"
    path.write_bytes(b"older")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(FileError, match=f"codes.json cannot be written to .*: {os.strerror(code)}") as caught:
        write_whole(path, b"newer")
    assert remedy in caught.value.remedy
    assert path.read_bytes() == b"older"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("content", [b"{", b"[1]", b"\xff", None])
def test_json_that_is_no_object_is_refused(tmp_path, content):
    path = tmp_path / "config.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(
        UnsupportedCheckpointError, match=r"config.json (cannot be read|is not a JSON object)"
    ):
        read_json(path)


def refuse(*paths):
    raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))


@pytest.mark.parametrize("links", [True, False])
def test_new_files_take_the_first_names_that_nothing_has(tmp_path, monkeypatch, links):
    if not links:
        monkeypatch.setattr(os, "link", refuse)
    groups = [[tmp_path / f"{number}.wav", tmp_path / f"{number}.json"] for number in range(3)]
    groups[0][0].write_bytes(b"taken")
    groups[1][1].symlink_to(tmp_path / "nowhere")
    assert write_new(groups, [b"song", b"workflow"]) == groups[2]
    assert [path.read_bytes() for path in groups[2]] == [b"song", b"workflow"]
    assert set(tmp_path.iterdir()) == {groups[0][0], groups[1][1], *groups[2]}


def test_a_name_that_was_reserved_is_given_back_when_the_disk_fails(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "link", refuse)
    monkeypatch.setattr("pathlib.Path.replace", refuse)
    with pytest.raises(FileError, match=r"song.wav cannot be written"):
        write_new([[tmp_path / "song.wav"]], [b"song"])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "content",
    [b"[" * 100_000 + b"]" * 100_000, b'{"a":' * 70 + b"1" + b"}" * 70, b"1" * 5000, b" " * 5_000_000],
)
def test_json_that_is_too_deep_or_too_large_is_refused(tmp_path, content):
    path = tmp_path / "config.json"
    path.write_bytes(content)
    with pytest.raises(UnsupportedCheckpointError, match=r"config.json cannot be read"):
        read_json(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="a system without pipes in folders")
def test_json_is_read_from_regular_files_alone_and_nothing_is_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for path in (tmp_path / "pipe", tmp_path / "loop", tmp_path, Path("/dev/zero"), tmp_path / ("x" * 5000)):
        with pytest.raises(UnsupportedCheckpointError, match=r"cannot be read"):
            read_json(path)


def test_what_cannot_be_asked_about_is_neither_file_nor_folder(tmp_path):
    for name in ("x" * 5000, "nul\0byte", "absent"):
        assert not is_file(tmp_path / name)
        assert not is_folder(tmp_path / name)
    assert is_folder(tmp_path)


def test_memory_that_runs_out_is_no_fault_of_a_json_file(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    monkeypatch.setattr(files, "read_regular", full)
    with pytest.raises(OSError, match="allocate"):
        files.read_json(tmp_path / "config.json")
