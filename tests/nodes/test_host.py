"""The pack inside a real ComfyUI: what loading it does, and above all what it does not do."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from support.comfyui import fetch
from support.comfyui import models as comfy_models
from support.comfyui.host import Runner
from tools.words import snapshot as node_snapshot

ROOT = Path(__file__).resolve().parents[2]
LIGHT = {
    "einops",
    "safetensors",
    "soundfile",
    "_soundfile",
    "_soundfile_data",
    "cffi",
    "_cffi_backend",
    "numpy",
    "yaml",
}


@pytest.fixture(scope="module")
def report(comfyui, tmp_path_factory):
    """What tests/support/comfyui/import_report.py saw, in a process of its own and without any model."""
    base = comfy_models.make_base(tmp_path_factory.mktemp("report"), ROOT)
    command = [sys.executable, "-m", "support.comfyui.import_report", str(comfyui), str(base)]
    places = [str(ROOT), str(ROOT / "tests"), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(places),
        **fetch.bytecode(comfyui),
        "PYTHONWARNINGS": "ignore",
    }
    done = subprocess.run(command, env=environment, cwd=base, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def committed():
    if not node_snapshot.FILE.is_file():
        pytest.fail("There is no snapshot yet: run `python -m tools.words.snapshot --update` and commit it.")
    return node_snapshot.FILE.read_text(encoding="utf-8")


def test_the_pack_loads_without_transformers_and_pyav_and_imports_little_else(report):
    assert set(report["imported"]) <= LIGHT


@pytest.mark.parametrize("elsewhere", [False, True])
def test_no_bytecode_is_written_beside_the_sources_of_a_comfyui_of_ones_own(tmp_path, monkeypatch, elsewhere):
    theirs, cache = tmp_path / "ComfyUI", tmp_path / "bytecode"
    theirs.mkdir()
    (theirs / "part.py").write_text("", encoding="utf-8")
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    monkeypatch.delenv("PYTHONPYCACHEPREFIX", raising=False)
    if elsewhere:  # as the Makefile says it
        monkeypatch.setenv("PYTHONPYCACHEPREFIX", str(cache))
    environment = {**os.environ, **fetch.bytecode(theirs)}
    subprocess.run([sys.executable, "-c", "import part"], cwd=theirs, env=environment, check=True)
    assert [path.name for path in theirs.iterdir()] == ["part.py"]
    assert cache.exists() == elsewhere
    assert fetch.bytecode(fetch.HOST / "ComfyUI") == {}


@pytest.mark.parametrize(
    ("there", "is_root", "wanted"),
    [([], True, True), ([], False, True), (["chromium"], True, True), (["chromium"], False, False)]
    + [([fetch.SHELL, "chromium"], is_root, False) for is_root in (True, False)],
)
def test_a_machine_that_somebody_uses_keeps_its_browser(monkeypatch, there, is_root, wanted):
    monkeypatch.delenv("CHROMIUM", raising=False)
    monkeypatch.setattr(fetch.shutil, "which", lambda name: name if name in [*there, "apt-get"] else None)
    monkeypatch.setattr(fetch.os, "geteuid", lambda: 0 if is_root else 1000)
    assert fetch.wants_chromium() == wanted
    assert fetch.chromium() == next(iter(there), None)
    monkeypatch.setenv("CHROMIUM", "a browser of one's own")
    assert not fetch.wants_chromium()


def test_where_there_is_no_installer_and_no_root_a_browser_serves_as_it_is(monkeypatch):
    monkeypatch.delenv("CHROMIUM", raising=False)
    monkeypatch.setattr(fetch.shutil, "which", lambda name: name if name == "google-chrome" else None)
    monkeypatch.delattr(fetch.os, "geteuid", raising=False)  # as on Windows
    assert not fetch.wants_chromium()
    assert fetch.chromium() == "google-chrome"


def test_loading_patches_nothing_of_comfyui_or_torch(report):
    assert report["patched"] == []


def test_loading_adds_the_models_folder_and_changes_no_other_setting(report):
    assert set(report["changed"]) == {"folders"}
    before, after = report["changed"]["folders"]
    added = {key: after.pop(key) for key in set(after) - set(before)}
    assert set(added) == {"acestep"}
    assert after == before
    ((folder,), _) = added["acestep"]
    assert Path(folder).parts[-2:] == ("models", "acestep")


def test_loading_writes_nothing_connects_nowhere_and_starts_nothing(report):
    assert report["happened"] == []


def test_loading_says_nothing_but_debug_lines(report):
    assert report["printed"] == ""
    assert {level for name, level, _ in report["logged"] if name.startswith("acestep")} <= {"DEBUG"}


def test_every_node_is_as_in_the_committed_snapshot(report, committed):
    assert not node_snapshot.differences(committed, node_snapshot.text_of(report["snapshot"]))


def test_the_server_imports_the_pack_and_shows_exactly_its_nodes(server, committed):
    assert server.failed_imports() == []
    info = server.object_info()
    ours = {name for name in info if info[name]["python_module"] == "custom_nodes.acestep-graph"}
    assert (
        ours == {name for name in info if name.startswith(node_snapshot.PREFIX)} == set(json.loads(committed))
    )


@pytest.mark.parametrize("layout", comfy_models.layouts())
def test_the_server_opens_every_layout_and_has_it_cached_the_second_time(server, layout):
    graph = server.graph()
    load = graph.add("AceGraphLoad", **comfy_models.layouts()[layout])
    graph.add("PreviewAny", source=load["report"])
    first = server.run(graph)
    assert first.node_errors == {}
    assert (first.last, first.error) == ("execution_success", "")
    second = server.run(graph)
    cached = next(data["nodes"] for event, data in second.events if event == "execution_cached")
    assert load.id in cached


def test_a_prompt_can_be_stopped_on_the_server_and_runs_right_after_it(server):
    graph = server.graph()
    load = graph.add("AceGraphLoad", **comfy_models.layouts()["official"])
    source = graph.add("AceGraphSilenceLatent", model=load["model"])
    words = graph.add("AceGraphEncodeConditions", text_encoder=load["text_encoder"], caption="a song")
    song = graph.add(
        "AceGraphSampler",
        model=load["model"],
        conditions=words["conditions"],
        source=source["latent"],
        steps=100,
    )
    graph.add("PreviewAny", source=song["report"])

    def stop_while_sampling(event, data):
        if event == "progress" and data["node"] == song.id and data["value"] < 50:
            server.interrupt(data["prompt_id"])

    stopped = server.run(graph, stop_while_sampling)
    assert stopped.last == "execution_interrupted"
    assert stopped.history["status"]["status_str"] == "error"
    assert server.run(graph).last == "execution_success"


def song_of(graph, layout, **sampling):
    """A graph from words to sound; the sampler and the node that shows the sound."""
    load = graph.add("AceGraphLoad", **comfy_models.layouts()[layout])
    source = graph.add("AceGraphSilenceLatent", model=load["model"])
    words = graph.add(
        "AceGraphEncodeConditions",
        text_encoder=load["text_encoder"],
        caption="a song",
        source=source["latent"],
    )
    wires = {"model": load["model"], "conditions": words["conditions"], "source": source["latent"]}
    song = graph.add("AceGraphSampler", **wires, **sampling)
    sound = graph.add("AceGraphOobleckDecode", vae=load["vae"], latent=song["latent"])
    return song, sound, graph.add("PreviewAudio", audio=sound["audio"])


@pytest.mark.parametrize("layout", comfy_models.layouts())
def test_every_layout_sings_in_process(graph, run_graph, layout):
    song, sound, shown = song_of(graph, layout)
    run = run_graph(graph)
    assert (run.refused, run.node_errors, run.error) == ("", {}, "")
    assert run[sound["audio"]]["waveform"].shape == (1, 2, 30 * 48_000)
    assert [path.is_file() for path in run.files(shown)] == [True]
    moves = [(move.value, move.total) for move in run.progress if move.node == song.id]
    assert moves == [(step, 8) for step in range(1, 9)]


def test_another_seed_runs_only_what_depends_on_it_and_a_stopped_run_leaves_nothing_wrong(graph, run_graph):
    song, sound, shown = song_of(graph, "official")
    first = run_graph(graph)
    graph.change(song, seed=1)
    stopped = run_graph(graph, stop_at=(song, 2))
    assert stopped.interrupted
    assert stopped.ran == (song.id,)
    assert max(move.value for move in stopped.progress) == 2
    again = run_graph(graph)
    assert set(again.ran) == {song.id, sound.id, shown.id}
    graph.change(song, seed=0)
    repeated = run_graph(graph)
    assert repeated[song["latent"]]["samples"].equal(first[song["latent"]]["samples"])


@pytest.mark.usefixtures("run_graph")
def test_layers_that_get_their_weights_only_when_they_are_loaded(host, pack, monkeypatch):
    """As in newer versions of ComfyUI on Windows."""
    plain = host.module("comfy.ops").disable_weight_init.Linear

    def begin(self, in_features, out_features, bias=True, device=None, dtype=None):
        torch.nn.Module.__init__(self)
        self.in_features, self.out_features = in_features, out_features
        self.weight = self.bias = None

    def load(self, weights, prefix, metadata, strict, missing, unexpected, errors):
        self.weight = torch.nn.Parameter(weights[f"{prefix}weight"], requires_grad=False)
        bias = weights.get(f"{prefix}bias")
        self.bias = None if bias is None else torch.nn.Parameter(bias, requires_grad=False)

    expected = played(host)
    monkeypatch.setattr(plain, "__init__", begin)
    monkeypatch.setattr(plain, "_load_from_state_dict", load, raising=False)
    assert host.module("comfy.ops").manual_cast.Linear(3, 4).weight is None
    assert torch.equal(played(host), expected)


def played(host):
    """A song on composed codes, as a latent: every network that we load has its part."""
    graph = host.graph()
    planner = graph.add("AceGraphLoadPlanner", planner=comfy_models.PLANNER_FOLDER, weight_dtype="fp32")
    words = {"caption": "slow piano", "lyrics": "la"}
    codes = graph.add("AceGraphComposeCodes", planner=planner["planner"], duration=10.0, **words)
    load = graph.add("AceGraphLoad", weight_dtype="fp32", **comfy_models.layouts()["official"])
    latent = graph.add("AceGraphCodesToLatent", model=load["model"], codes=codes["codes"])
    spoken = graph.add(
        "AceGraphEncodeConditions", text_encoder=load["text_encoder"], codes=codes["codes"], **words
    )
    wires = {"model": load["model"], "conditions": spoken["conditions"], "source": latent["latent"]}
    song = graph.add("AceGraphSampler", **wires, steps=2, seed=3)
    graph.add("SaveLatent", samples=song["latent"])
    done = Runner(host)(graph)  # with nothing remembered
    assert done.success, done.error or done.refused
    return done[song["latent"]]["samples"]
