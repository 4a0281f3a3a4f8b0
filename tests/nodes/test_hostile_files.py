"""A file, folder, pipe or link that nobody can read concerns itself alone: pickers go on, and the pack is there."""

import contextlib
import errno
import json
import os
import shutil
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from support.comfyui import task_graphs


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


@pytest.fixture
def loras(host):
    """A folder of adapters of one's own, gone behind the test."""
    folder = host.base / "models" / "loras" / "hostile"
    folder.mkdir()
    yield folder
    shutil.rmtree(folder)


def opened(pack, name):
    """What Load LoRA does with a name before it looks at any weight."""
    pack.nodes.lora.LoadAdapter.fingerprint_inputs(adapter=name)
    path = pack.nodes.host.folders.adapter_of(name)
    return pack.acestep_core.adapters.adapter_file.AdapterFile.open(path)


@pytest.mark.parametrize("name", ["x.safetensors", "adapter_model.safetensors", "lokr_weights.safetensors"])
@pytest.mark.parametrize("kind", KINDS)
def test_an_adapter_that_cannot_be_read_concerns_itself_alone(host, pack, loras, kind, name):
    errors = pack.acestep_core.errors
    (loras / "back").symlink_to(loras)
    before = host.info("AceGraphLoadAdapter")["input"]["required"]["adapter"][1]["options"]
    KINDS[kind](loras / name)
    started = time.monotonic()
    options = host.info("AceGraphLoadAdapter")["input"]["required"]["adapter"][1]["options"]
    assert set(before) <= set(options)
    for chosen in (f"hostile/{name}", "hostile/"):
        with pytest.raises(errors.AceStepError) as refused:
            opened(pack, chosen)
        assert str(refused.value).count("\n") == 1
    assert time.monotonic() - started < 10


@pytest.mark.parametrize("kind", KINDS)
def test_a_json_beside_an_adapter_that_cannot_be_read_is_refused_or_passed_over(pack, loras, kind):
    save_file({"layers.0.mlp.up_proj.diff": torch.zeros(112, 48)}, loras / "adapter_model.safetensors")
    KINDS[kind](loras / "adapter_config.json")
    started = time.monotonic()
    with contextlib.suppress(pack.acestep_core.errors.AceStepError):
        opened(pack, "hostile/")
    assert time.monotonic() - started < 10


@pytest.mark.parametrize("kind", KINDS)
def test_codes_that_cannot_be_read_concern_themselves_alone(host, pack, kind):
    node, errors = pack.nodes.codes.LoadCodes, pack.acestep_core.errors
    inputs, outputs = host.base / "input", host.base / "output" / "codes" / "hostile"
    outputs.mkdir(parents=True)
    (outputs / "back").symlink_to(outputs)
    listed = pack.nodes.host.folders.files_to_load

    def loaded_codes(name):
        node.fingerprint_inputs(file=name)
        node.execute(file=name)

    before = listed(".json", "codes")
    made = inputs / "hostile.json", outputs / "hostile.json"
    try:
        started = time.monotonic()
        for path in made:
            KINDS[kind](path)
        assert set(before) <= set(listed(".json", "codes"))
        for chosen in ("hostile.json", "codes/hostile/hostile.json [output]"):
            with pytest.raises(errors.AceStepError) as refused:
                loaded_codes(chosen)
            assert str(refused.value).count("\n") == 1
        assert time.monotonic() - started < 10
    finally:
        shutil.rmtree(outputs)
        shutil.rmtree(made[0]) if made[0].is_dir() else made[0].unlink()


NAMES = ("CON", "nul.txt", "aux/song", "<img src=x onerror=alert(1)>", "....")


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_other_systems_dislike_is_taken_as_it_is(host, pack, name):
    folder = host.base / "output" / "disliked"
    (path,) = pack.nodes.host.output_files.FreeNames(f"disliked/{name}").write(0, {".json": b"{}"})
    assert path.is_relative_to(folder)
    assert path.name == f"{name.rpartition('/')[2]}_00001_.json"
    assert path.read_bytes() == b"{}"
    shutil.rmtree(folder)


def test_a_system_that_dislikes_a_name_is_heard(host, pack, monkeypatch):
    names = pack.nodes.host.output_files.FreeNames("disliked/CON<1>")
    folder, opened_as_ever = host.base / "output" / "disliked", Path.open

    def dislike(*_):
        raise OSError(errno.EINVAL, "Invalid argument")

    with monkeypatch.context() as patched:
        patched.setattr(os, "link", dislike)
        patched.setattr(
            Path,
            "open",
            lambda path, *how: dislike() if "<" in path.name else opened_as_ever(path, *how),
        )
        with pytest.raises(pack.acestep_core.errors.FileError, match="cannot be written") as refused:
            names.write(0, {".json": b"{}"})
    assert str(refused.value).endswith('\nChoose a name without < > : " | ? and *.')
    assert list(folder.iterdir()) == []
    shutil.rmtree(folder)


def test_ten_megabytes_of_lyrics_are_hardly_read_and_stop_is_heard(host, pack, run_graph, monkeypatch):
    tokenizer, read, stopping = pack.acestep_core.text.tokenizer, [], []
    plain = tokenizer.TextTokenizer.__init__

    class Counting:
        def __init__(self, bpe):
            self._bpe = bpe

        def encode(self, text, *more, **words):
            read.append(len(text))
            if stopping:
                host.interrupt()
            return self._bpe.encode(text, *more, **words)

        def __getattr__(self, name):
            return getattr(self._bpe, name)

    monkeypatch.setattr(
        tokenizer.TextTokenizer, "__init__", lambda self, bpe, *more: plain(self, Counting(bpe), *more)
    )

    def sung(lyrics):
        graph = host.graph()
        load = task_graphs.opened(graph)
        words = graph.add("PrimitiveStringMultiline", value=lyrics)
        conditions = task_graphs.encode(graph, load, lyrics=words[0])
        graph.add("PreviewAny", source=conditions)
        return run_graph(graph)

    run_graph.executor.reset()
    assert sung("la la love\n" * 10**6).success
    assert 0 < sum(read) <= 4 * sum(tokenizer.REACHES)
    stopping.append(True)
    assert sung("la la live\n" * 10**6).interrupted
    stopping.clear()
    assert sung("la la live\n").success
