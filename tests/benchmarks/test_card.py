"""The card's measurements run here with tiny weights on a CPU, so that they run the day a card is there."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from benchmarks import card, harness
from benchmarks.card import Part, measured
from benchmarks.cards import equal, hosted, networks, report, songs, speed
from benchmarks.cards.sizes import REAL, TINY
from benchmarks.core_nodes import install
from benchmarks.harness import Row

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def cpu(monkeypatch):
    monkeypatch.setenv(harness.DEVICE, "cpu")


@pytest.fixture(scope="module")
def network():
    return networks.transformer(TINY, torch.float32, where="cpu")


# ------------------------------------------------------------------------------------------------- the whole
@pytest.mark.slow
def test_everything_is_measured_on_a_cpu_with_tiny_weights(tmp_path):
    command = [sys.executable, "benchmarks/card.py", "--cpu", "--tiny", "--out", str(tmp_path)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True, timeout=600
    )
    (file,) = tmp_path.glob("*-no-card.json")
    content = json.loads(file.read_text(encoding="utf-8"))
    assert content["left_out"] == []
    items = [row["item"] for row in content["rows"]]
    assert items[0].startswith("difference: ")
    for wanted in (
        *("evaluation, 2 s", "evaluation, 2 s, guided", "evaluation, 6 s", "evaluation, 6 s, launches"),
        *("decode, 1 s", "encode, 1 s", "planner 1.7B", "song of 5.5 s", "song of 5.5 s, memory"),
        *("evaluation, 2 s, against diffusers", "decode, 1 s, against diffusers"),
    ):
        assert wanted in items
        assert f"| {wanted} | " in done.stdout
    assert done.stdout.startswith(f"**{content['machine']['card']}**. ")


# ---------------------------------------------------------------------------------------------- what goes wrong
def part(name, *rows):
    """A part that gives these rows, and raises those that are errors."""

    def given():
        for row in rows:
            if isinstance(row, Exception):
                raise row
            yield row

    return Part(name, given)


def test_what_fails_or_does_not_fit_is_named_and_the_rest_is_measured():
    planned = [
        part("small", Row("a", 1.0, "ms")),
        part("large", Row("b", 2.0), torch.OutOfMemoryError("CUDA out of memory")),
        part("odd", NotImplementedError("no such operator\non this device")),
        part("last", Row("c", 3.0)),
    ]
    said = []
    rows, left_out = measured(planned, 10, said.append)
    assert [row.item for row in rows] == ["a", "b", "c"]
    assert left_out == [
        "large: does not fit into the memory",
        "odd: NotImplementedError: no such operator",
    ]
    assert "  a: 1 ms" in said


def test_unequal_answers_end_everything():
    reached = []
    planned = [part("first", equal.UnequalError("other")), Part("second", lambda: reached.append(1))]
    with pytest.raises(equal.UnequalError):
        measured(planned, 10, lambda _: None)
    assert not reached


@pytest.mark.parametrize("apart", [0.011, float("nan")])
def test_a_difference_that_is_too_large_is_an_error(apart):
    assert equal.compared("x", 0.009, 0.01).item == "difference: x"
    with pytest.raises(equal.UnequalError, match="x: "):
        equal.compared("x", apart, 0.01)


def test_parts_for_which_there_is_no_time_are_named():
    rows, left_out = measured([part("a", Row("a", 1.0)), part("b", Row("b", 1.0))], 0, lambda _: None)
    assert rows == []
    assert left_out == [f"{name}: no time was left for all of it" for name in "ab"]


def test_without_a_card_it_says_what_can_be_run(cpu, capsys):
    with pytest.raises(SystemExit):
        card.arguments([])
    assert "--cpu --tiny" in capsys.readouterr().err


def test_a_folder_without_comfyui_is_refused(tmp_path, capsys):
    with pytest.raises(SystemExit):
        card.arguments(["--cpu", "--tiny", "--comfyui", str(tmp_path)])
    assert "holds no ComfyUI" in capsys.readouterr().err


# --------------------------------------------------------------------------------------------- the measurements
def test_a_recording_that_answers_otherwise_is_found(cpu, monkeypatch, network):
    """The card's own comparison, with a recording that is right when it is proven and keeps those latents afterwards."""
    asked = networks.Question(network, TINY, 2.0, False)

    def stale(step):
        step()
        replays = iter([step])
        return lambda: next(replays, lambda: None)()

    for capture, differs in ((lambda step: step, False), (stale, True)):
        monkeypatch.setattr(equal, "recorded", capture)
        with torch.inference_mode():
            plain, replayed = equal.evaluate_plainly(network, asked), equal.evaluate_recorded(network, asked)
        assert (equal.distance(replayed, plain) > equal.FP32) == differs


def test_the_recorded_step_is_measured_where_a_device_has_graphs(cpu, monkeypatch, network):
    recorded = []

    def capture(step):
        recorded.append(step)
        return step

    monkeypatch.setattr(speed, "can_capture", lambda *_: True)
    monkeypatch.setattr(speed, "recorded", capture)
    asked = networks.Question(network, TINY, 2.0, True)
    with torch.inference_mode():
        items = [row.item for row in speed.one_evaluation(network, asked, "2 s", 1e12, quick=True)]
    assert "evaluation, 2 s, recorded" in items
    assert len(recorded) == 1


def test_kernels_are_counted_as_the_profiler_tells_them(cpu, monkeypatch):
    events = [
        "cudaLaunchKernel",
        "cudaLaunchKernelExC",
        "hipExtModuleLaunchKernel",
        "aten::mul",
        "cudaMemcpy",
    ]

    class Profile:
        def __enter__(self):
            return SimpleNamespace(events=lambda: [SimpleNamespace(name=name) for name in events])

        def __exit__(self, *_):
            pass

    monkeypatch.setattr(speed, "profile", lambda activities: Profile())
    monkeypatch.setattr(speed, "profilable", lambda: [torch.profiler.ProfilerActivity.CUDA])
    assert speed.launches(lambda: None) == 3


def test_operators_are_counted_without_views(cpu):
    x = torch.ones(2, 3)
    assert speed.launches(lambda: (x.t()[0].view(2) + 1).mul_(2)) == 2


def test_each_kind_of_attention_is_named_once_with_its_kernel(cpu, network):
    asked = networks.Question(network, TINY, 20.0, False)  # long enough for windows
    with torch.inference_mode():
        kinds = speed.attention_kernels(lambda: equal.evaluate_plainly(network, asked))
    masked, full, crossed = sorted(kinds, key=lambda kind: ("masked" not in kind, "x 20" in kind))
    assert masked.startswith("128 x 384 masked ")
    assert full.startswith("250 x 250 ")
    assert crossed.startswith("250 x 20 ")
    assert all(kind.endswith((" (2)", " (4)")) for kind in kinds)


def test_networks_take_turns_where_a_card_is_capped(cpu, monkeypatch):
    seen = []
    chain = networks.chain(TINY, where="cpu")
    parts = {
        chain.conditioner.text_encoder: "text",
        chain.conditioner.condition_encoder: "conditions",
        chain.sampler.transformer: "transformer",
        chain.vae: "vae",
    }
    plain = torch.nn.Module.to
    monkeypatch.setattr(
        torch.nn.Module,
        "to",
        lambda module, where: seen.append((parts[module], str(where))) or plain(module, where),
    )
    monkeypatch.setattr(songs, "device", lambda: "cpu:0")
    songs.sing_in_turns(chain, 5.2)
    come_and_go = [
        [(name, place) for name in group]
        for group in (("text", "conditions"), ("transformer",), ("vae",))
        for place in ("cpu:0", "cpu")
    ]
    assert seen == [move for moves in come_and_go for move in moves]


def test_a_song_that_does_not_fit_is_a_row_that_says_so(cpu, monkeypatch):
    def full(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(networks, "chain", full)
    monkeypatch.setattr(songs, "cap", lambda most: None)
    found = songs.peak(True, 5.5, 4)
    assert not found["fits"]
    assert songs.peak_row("song", found, 4).item == "song: does not fit"


def test_a_cap_is_a_share_of_what_the_card_has(monkeypatch):
    asked = []
    known = SimpleNamespace(
        mem_get_info=lambda: (0, 16 * songs.GIB), set_per_process_memory_fraction=asked.append
    )
    monkeypatch.setattr(songs, "memory_of", lambda: known)
    assert songs.can_cap()
    for gib in (4, 8, 32):
        songs.cap(gib * songs.GIB)
    assert asked == [0.25, 0.5, 1.0]


def test_the_file_is_called_like_the_card(tmp_path):
    machine = {"card": "NVIDIA H100 80GB HBM3"}
    file = report.save(machine, [Row("a", 1.0)], ["b: c"], tmp_path)
    assert file.name == "nvidia-h100-80gb-hbm3.json"
    assert json.loads(file.read_text(encoding="utf-8"))["rows"][0]["item"] == "a"


def test_real_sizes_are_the_published_ones():
    assert (REAL.config.hidden_size, REAL.config.num_hidden_layers) == (2048, 24)
    assert {name: (s.hidden_size, s.num_hidden_layers) for name, s in REAL.planners.items()} == {
        "1.7B": (2048, 28),
        "4B": (2560, 36),
    }
    assert REAL.songs == (30.0, 240.0, 600.0)
    assert REAL.budgets == (4, 6, 8)


@pytest.mark.slow
def test_a_song_is_played_in_a_real_comfyui_whole_and_with_a_part_of_the_transformer(comfyui_dir, cpu):
    rows = {row.item: row.measured for row in hosted.partial_rows(comfyui_dir, tiny=True)}
    assert rows["song in ComfyUI, whole, share of the transformer on the card"] == 1
    assert 0 < rows["song in ComfyUI, in part, share of the transformer on the card"] < 1
    assert rows["song in ComfyUI, in part"] > 0


def test_a_comfyui_without_the_model_is_named_in_its_own_words(tmp_path, monkeypatch):
    monkeypatch.setenv(install.NAMED, "")
    (tmp_path / "main.py").touch()
    rows, left_out = measured([Part("core", lambda: hosted.race_rows(tmp_path, True))], 10, lambda _: None)
    assert rows == []
    assert left_out[0].startswith(f"core: ComfyUI of unknown version in {tmp_path}")
