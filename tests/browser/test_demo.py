"""`make demo`: what it makes, and what it says when it cannot."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

import pytest
import soundfile

from support.comfyui import fetch
from support.comfyui import models as comfy_models
from support.comfyui.editor import apart
from support.comfyui.server import Server, free_port
from tools import ROOT
from tools.demo import base as demo_base
from tools.demo import show as demo
from tools.templates.names import file_of
from tools.workflows import recording
from training import layout
from training.evaluate import share_of, steadier
from training.hearing import keys_by_likelihood
from training.words import UNSAID_EIGHTH

TOO_LONG = 480  # seconds; then a demo that hangs is killed, and its test fails
TURBO = "models/diffusion_models/acestep_v1.5_turbo.safetensors"


def test_the_demo_recording_is_music_of_a_few_seconds(tmp_path):
    path = recording.write(tmp_path)
    samples, rate = soundfile.read(path)
    assert (samples.shape, rate) == ((round(recording.SECONDS * rate), 2), 48_000)
    assert 0.7 < abs(samples).max() < 0.9
    first = path.read_bytes()
    path.unlink()
    assert recording.write(tmp_path).read_bytes() == first


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A furnished base directory; a test that changes it leaves it as it was."""
    return demo_base.furnished(tmp_path_factory.mktemp("demo"))


def test_the_base_directory_is_furnished_once_and_the_pack_is_linked_again(base, monkeypatch):
    pack = base / "custom_nodes/acestep-graph"
    pack.unlink()
    pack.symlink_to(base / "moved")
    monkeypatch.setattr(comfy_models, "build", None)  # must not be called again
    demo_base.furnished(base)
    assert (pack / "nodes").is_dir()
    assert (base / "input" / recording.NAME).is_file()
    assert {path.name for path in (base / "models").iterdir()} == {
        *("acestep", "checkpoints", "diffusion_models", "loras", "text_encoders", "vae", demo_base.STAMP)
    }


@pytest.mark.parametrize(
    "stamp", ["", "{", '{"sources": "older", "tiny": "PLACE/tiny", "files": {"TURBO": 4}}']
)
def test_other_tiny_models_are_renewed_and_what_the_user_put_there_stays(tmp_path, stamp, monkeypatch):
    monkeypatch.setattr(comfy_models, "VARIANTS", ("turbo",))
    monkeypatch.setattr(demo_base, "STAND_INS", {})
    base = demo_base.furnished(tmp_path / "demo")
    models, turbo = base / "models", base / TURBO
    before = everything(models)
    old, missing = base / "tiny/old", models / "vae/ace_1.5_vae.safetensors"
    real, elsewhere = models / "text_encoders/qwen_0.6b_ace15.safetensors", models / "acestep/vae"
    for path in (turbo, missing, real, elsewhere):
        path.unlink()
    old.write_bytes(b"tiny")
    turbo.hardlink_to(old)
    real.write_bytes(b"a real model")
    elsewhere.symlink_to(tmp_path / "a disk that is not there")
    written = stamp.replace("PLACE", str(base)).replace("TURBO", TURBO.removeprefix("models/"))
    (models / demo_base.STAMP).write_text(written)
    demo_base.furnished(base)
    assert real.read_bytes() == b"a real model"
    assert elsewhere.readlink() == tmp_path / "a disk that is not there"
    changed = {real, elsewhere} | (set() if "older" in stamp else {turbo})  # nobody knows that it was tiny
    after = everything(models)
    assert {path for path, was in before.items() if after.get(path) != was} == changed
    assert demo_base.read(models / demo_base.STAMP)["sources"] != "older"


def test_a_base_directory_that_was_moved_is_whole_again(tmp_path, monkeypatch):
    monkeypatch.setattr(comfy_models, "VARIANTS", ("turbo",))
    monkeypatch.setattr(demo_base, "STAND_INS", {})
    before = demo_base.furnished(tmp_path / "here")
    links = {path.name for path in (before / "models/acestep").iterdir()}
    moved = demo_base.furnished(before.rename(tmp_path / "there"))
    found = list((moved / "models/acestep").iterdir())
    assert {path.name for path in found} == links
    assert all(path.is_dir() and path.readlink().is_relative_to(moved) for path in found)


def test_the_musical_model_stands_in_until_a_real_file_comes(base):
    links = [base / "models/acestep" / Path(name).name for name in demo_base.STAND_INS]
    assert all((link / "config.json").is_file() for link in links)
    text = base / "models/text_encoders/qwen_0.6b_ace15.safetensors"
    tiny = text.read_bytes()
    text.unlink()
    text.write_bytes(b"a real model")
    demo_base.furnished(base)
    assert not any(link.is_symlink() for link in links)
    text.write_bytes(tiny)
    own = links[0]
    own.symlink_to("a disk that is not there")
    demo_base.furnished(base)
    assert all(link.is_symlink() for link in links)
    assert str(own.readlink()) == "a disk that is not there"
    own.unlink()
    demo_base.furnished(base)
    assert (own / "config.json").is_file()


def test_the_adapter_of_the_musical_model_stands_in_for_those_of_the_templates(base):
    for name, part in demo_base.ADAPTERS.items():
        assert (base / "models" / name).read_bytes() == (demo_base.MARCH / part).read_bytes()
    (name, part), *_ = demo_base.ADAPTERS.items()
    own = base / "models" / name
    own.unlink()
    own.write_bytes(b"a real adapter")
    demo_base.furnished(base)
    assert own.read_bytes() == b"a real adapter"
    own.unlink()
    demo_base.furnished(base)
    assert own.samefile(demo_base.MARCH / part)


def test_the_template_with_an_adapter_plays_a_march(base, monkeypatch, tmp_path):
    workflow = json.loads(demo.WORKFLOW.with_name(f"{file_of('lora')}.json").read_text(encoding="utf-8"))
    (box,) = workflow["definitions"]["subgraphs"]
    inside = {node["type"]: node["widgets_values"] for node in box["nodes"] if "widgets_values" in node}
    inside["AceGraphEncodeConditions"][:3] = ["march guitar", "", True]  # its trigger word, and no singing
    inside["AceGraphSilenceLatent"][0] = 12.0
    monkeypatch.setattr(demo, "WORKFLOW", tmp_path / "lora.json")
    demo.WORKFLOW.write_text(json.dumps(workflow), encoding="utf-8")
    with Server(fetch.comfyui_dir(), base, cpu=True, port=free_port()) as server:
        song = apart(demo.make_song, server)
    mono = soundfile.read(song)[0].mean(1)
    assert steadier(mono, UNSAID_EIGHTH)
    snare, hat = (share_of(mono, slice(drum, drum + 1)) for drum in (layout.SNARE, layout.HAT))
    assert snare > 2 * hat  # measured: 4 times as much; without the adapter a twentieth


def everything(folder):
    """What files hold, and where links point to."""
    return {
        path: path.readlink() if path.is_symlink() else path.read_bytes()
        for path in folder.rglob("*")
        if path.is_symlink() or path.is_file()
    }


def test_a_song_is_made_and_described(studio):
    song = apart(demo.make_song, studio.server())
    assert song.is_file()
    assert demo.described(song).startswith("45.00 s, 2 channels, 48000 Hz, peak -1.0 dBFS")


def test_a_song_that_takes_too_long_is_said(studio, monkeypatch):
    monkeypatch.setattr(demo, "LONGEST", 0.001)
    server = studio.server()
    said = apart(demo.sing, server)
    server.clear_queue()
    server.interrupt()
    assert said == f"The song was not finished after 0.001 s. ComfyUI's log is {server.log_file}."


def test_a_song_that_fails_is_said(studio, tmp_path, monkeypatch):
    changed = demo.WORKFLOW.read_text(encoding="utf-8").replace(
        "acestep_v1.5_turbo.safetensors", "none.safetensors"
    )
    workflow = tmp_path / "text2music.json"
    workflow.write_text(changed, encoding="utf-8")
    monkeypatch.setattr(demo, "WORKFLOW", workflow)
    monkeypatch.setattr(demo.comfy_host, "PACK", tmp_path)
    said = apart(demo.sing, studio.server())
    assert said.startswith("The song could not be made: ")
    assert "none.safetensors" in said


@contextmanager
def process(base: Path, port: int, **settings: str) -> Iterator[subprocess.Popen[str]]:
    """tools/demo/show.py as `make demo` runs it; never left behind."""
    environment = {**os.environ, "ACEGRAPH_DEMO": str(base), "PORT": str(port), "ONCE": "", **settings}
    with subprocess.Popen(
        [sys.executable, "-m", demo.__name__],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
    ) as started:
        end = threading.Timer(TOO_LONG, started.terminate)
        end.start()
        try:
            yield started
        finally:
            end.cancel()
            started.terminate()


def until(output: Iterable[str], beginning: str) -> list[str]:
    """What was said up to the line that begins so."""
    lines = []
    for line in output:
        lines.append(line)
        if line.startswith(beginning):
            return lines
    pytest.fail(f"{beginning!r} was not said, but {lines}")


def test_once_makes_a_song_and_ends(base):
    port = free_port()
    with process(base, port, ONCE="1") as started:
        said = started.communicate()[0]
    assert started.returncode == 0, said
    song = Path(re.search(r"^The song: +(.+)$", said, re.M)[1])
    assert song.is_relative_to(base / "output")
    assert demo.described(song) in said
    assert "a toy of 15 MB that this project trained on synthetic tunes; the real model sings" in said
    assert "Your own recordings do not" in said
    sound, _ = soundfile.read(song)
    mono = sound.mean(1)
    assert steadier(mono, UNSAID_EIGHTH)
    assert (0, "major") in keys_by_likelihood(mono)[:2]
    for name in comfy_models.layouts()["split"].values():
        assert f"  {name} " in said
    assert demo.is_free(port)


@pytest.fixture
def broken(base):
    """The same with a model that cannot be read."""
    model = base / TURBO
    model.unlink()
    model.write_bytes(b"no model")
    yield base
    model.unlink()
    model.hardlink_to(base / "tiny/turbo/comfy" / TURBO.removeprefix("models/"))


def test_once_fails_when_there_is_no_song(broken):
    with process(broken, free_port(), ONCE="1") as started:
        said = started.communicate()[0]
    assert started.returncode == 1
    assert re.search(r"^The song could not be made: .+\n\Z", said, re.M)


def test_the_editor_stays_when_there_is_no_song(broken):
    with process(broken, free_port()) as started:
        said = until(started.stdout, "The editor: ")
        assert said[-3].startswith("The song could not be made: ")
        started.send_signal(signal.SIGINT)
        started.send_signal(signal.SIGTERM)  # more haste changes nothing
        assert started.stdout.read().endswith("\nThe demo has ended.\n")
    assert started.returncode == 0


@pytest.mark.parametrize(
    ("line", "number"), [("The editor: ", signal.SIGINT), ("Running ", signal.SIGTERM)], ids=["idle", "busy"]
)
def test_it_stays_until_a_signal_ends_it_and_the_server(base, line, number):
    port = free_port()
    with process(base, port) as started:
        if address := re.search(r"http://\S+", until(started.stdout, line)[-1]):
            assert urlopen(address[0], timeout=60).status == 200
        assert not demo.is_free(port)
        started.send_signal(number)
        assert started.stdout.read().endswith("\nThe demo has ended.\n")
    assert started.returncode == 0
    assert demo.is_free(port)


def test_the_port_is_the_wanted_one_or_refused_in_words(monkeypatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        monkeypatch.setenv("PORT", str(port))
        with pytest.raises(SystemExit, match=rf"Port {port} is in use\. Choose another one"):
            demo.chosen_port()
    assert demo.chosen_port() == port
    monkeypatch.setenv("PORT", "music")
    with pytest.raises(SystemExit, match="'music', which is no port"):
        demo.chosen_port()
    monkeypatch.delenv("PORT")
    monkeypatch.setattr(demo, "is_free", lambda port: False)
    assert demo.chosen_port() not in (0, demo.USUAL_PORT)


def test_a_missing_comfyui_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("COMFYUI_DIR", str(tmp_path))
    with pytest.raises(SystemExit, match=r"holds no ComfyUI\. Run make demo, or correct COMFYUI_DIR"):
        demo.main()
