"""A file, folder, pipe or link that nobody can read concerns itself alone: pickers go on, and the pack is there."""

import json
import os
import shutil
import time

import pytest


@pytest.fixture
def checkpoints(host, pack):
    """A folder of checkpoints of one's own, emptied behind the test."""
    folder = host.base / "models" / "acestep" / "hostile"
    folder.mkdir(parents=True)
    yield folder
    shutil.rmtree(folder)


def deep(path):
    path.write_bytes(b"[" * 100_000 + b"]" * 100_000)


def endless(path):
    path.symlink_to("/dev/zero")


def looped(path):
    path.symlink_to(path.name)


def huge(path):
    with path.open("wb") as file:
        file.truncate(1 << 33)


KINDS = {
    "deep": deep,
    "huge": huge,
    "a folder": os.mkdir,
    "a pipe": os.mkfifo,
    "a device": endless,
    "a loop": looped,
    "numbers": lambda path: path.write_text("9" * 10_000, encoding="utf-8"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_config_that_cannot_be_read_leaves_the_pickers_as_they_were(pack, checkpoints, kind):
    folders, kinds = pack.nodes.host.folders, pack.acestep_core.checkpoints.kinds.Kind
    before = {one: folders.folders_in(one) for one in kinds}
    bad = checkpoints / "bad"
    bad.mkdir()
    KINDS[kind](bad / "config.json")
    started = time.monotonic()
    assert {one: folders.folders_in(one) for one in kinds} == before
    pack.nodes.load.Load.define_schema()
    pack.nodes.load_planner.LoadPlanner.define_schema()
    assert time.monotonic() - started < 10


def test_links_that_lead_back_are_followed_once(pack, checkpoints):
    for number in range(200):
        (checkpoints / f"back{number}").symlink_to(checkpoints)
    sound = checkpoints / "sound"
    sound.mkdir()
    (sound / "config.json").write_text(json.dumps({"model_type": "acestep"}), encoding="utf-8")
    (sound / "model.safetensors").touch()
    found = pack.nodes.host.folders.folders_in(pack.acestep_core.checkpoints.kinds.Kind.MODEL)
    assert [name for name in found if name.startswith("hostile")] == ["hostile/sound"]


@pytest.mark.parametrize("name", ["x" * 5000, "a/" * 3000, "nul\0byte", "\udcff"])
def test_a_name_that_no_disk_takes_is_refused(pack, name):
    folders, errors = pack.nodes.host.folders, pack.acestep_core.errors
    for ask in (lambda: folders.path_of(name, "vae"), lambda: folders.input_file(name)):
        with pytest.raises(errors.InvalidInputError, match="There is no") as refused:
            ask()
        assert len(str(refused.value)) < 500
