"""Files that are written whole or not at all, and JSON that has to be an object."""

import errno
import os

import pytest

from acestep_core.errors import FileError, UnsupportedCheckpointError
from acestep_core.files import read_json, write_whole


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
