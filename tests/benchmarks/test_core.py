"""The race against ComfyUI's own nodes, on stand-ins: no registry offers a ComfyUI that has them."""

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from acestep_core.planner.decoding import Decoder
from acestep_core.planner.network import PlannerNetwork
from benchmarks import bench_core, harness, run
from benchmarks.bench_planner import SMALL
from benchmarks.bench_song import BRIEF
from benchmarks.cards import networks
from benchmarks.cards.sizes import TINY
from benchmarks.core_nodes import install, sides
from benchmarks.core_nodes.install import NoOpponentError
from benchmarks.core_nodes.sides import Sides
from benchmarks.core_nodes.theirs import NODE, Theirs
from benchmarks.full_size import filled

ROOT = Path(__file__).resolve().parents[2]


# ------------------------------------------------------------------------------------------------- who is raced
def comfyui(folder, has_model, version="9.8.7"):
    (folder / "main.py").touch()
    (folder / "comfyui_version.py").write_text(f'__version__ = "{version}"\n')
    if has_model:
        (folder / install.NETWORK).parent.mkdir(parents=True)
        (folder / install.NETWORK).touch()
    return folder


def test_a_comfyui_with_the_model_is_raced(tmp_path, monkeypatch):
    monkeypatch.setenv(install.NAMED, str(comfyui(tmp_path, has_model=True)))
    assert install.found() == tmp_path.resolve()
    assert "core" in run.runnable()


def test_versions_without_the_model_are_refused_in_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv(install.NAMED, str(comfyui(tmp_path, has_model=False)))
    with pytest.raises(
        NoOpponentError, match=r"^ComfyUI 9\.8\.7 in .* has no ACE-Step 1\.5 of its own\. Set "
    ):
        install.found()
    assert "core" not in run.runnable()
    assert "dit" in run.runnable()


def test_the_comfyui_of_the_tests_has_no_such_nodes_or_can_be_raced(comfyui_dir, monkeypatch):
    monkeypatch.setenv(install.NAMED, str(comfyui_dir))
    if (comfyui_dir / install.NETWORK).is_file():
        assert install.found() == comfyui_dir
    else:
        with pytest.raises(NoOpponentError, match=r"ComfyUI \d+\.\d+\.\d+ in"):
            install.found()


def test_nothing_named_and_nothing_there_are_refused_as_well(tmp_path, monkeypatch):
    monkeypatch.delenv(install.NAMED, raising=False)
    with pytest.raises(NoOpponentError, match="No ComfyUI is named"):
        install.found()
    monkeypatch.setenv(install.NAMED, str(tmp_path))
    with pytest.raises(NoOpponentError, match="holds no ComfyUI"):
        install.found()


def test_the_command_says_it_at_once(tmp_path, monkeypatch):
    monkeypatch.setenv(install.NAMED, str(comfyui(tmp_path, has_model=False)))
    command = [sys.executable, "benchmarks/run.py", "core"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1].startswith("ComfyUI 9.8.7 in")


# ------------------------------------------------------------------------------------------ how they are called
class Node:
    """A node of theirs: keeps what it is called with."""

    def __init__(self, name, calls, newer=True):
        self._name, self._calls, self._newer = name, calls, newer

    def __call__(self):
        return self

    def _called(self, *given, **named):
        self._calls.append((self._name, given, named))
        answer = f"{self._name}'s"
        return SimpleNamespace(args=(answer,)) if self._newer else (answer,)

    execute = zero_out = sample = _called


@pytest.fixture
def hosted():
    """Theirs over modules that only note how they are called."""
    calls, network = [], SimpleNamespace()

    def note(name, answer=None):
        return lambda *given, **named: calls.append((name, given, named)) or answer

    class Network:
        decoder = staticmethod(note("decoder", "velocity"))

        def __call__(self, *given, **named):
            calls.append(("network", given, named))

    network = Network()
    patcher = SimpleNamespace(load_device="card")
    inside = SimpleNamespace(lm_model="qwen3_2b", qwen3_2b="planner", set_clip_options=note("options"))
    clip = SimpleNamespace(patcher=patcher, cond_stage_model=inside)
    model = SimpleNamespace(model=SimpleNamespace(diffusion_model=network))
    vae = SimpleNamespace(decode=lambda latents: calls.append(("decode", latents.shape)) or latents.mT)
    mappings = {
        name: Node(name, calls, newer)
        for name, newer in (
            (NODE, True),
            ("EmptyAceStep1.5LatentAudio", True),
            ("VAEDecodeAudio", True),
            ("KSampler", False),
            ("ConditioningZeroOut", False),
        )
    }
    loaders = SimpleNamespace(
        load_diffusion_model_state_dict=note("model", model),
        load_text_encoder_state_dicts=note("texts", clip),
        VAE=note("vae", vae),
        CLIPType=SimpleNamespace(ACE="ace"),
    )
    modules = {
        "nodes": SimpleNamespace(NODE_CLASS_MAPPINGS=mappings),
        "comfy.sd": loaders,
        "comfy.model_management": SimpleNamespace(load_models_gpu=note("bring in")),
        "comfy.text_encoders.ace15": SimpleNamespace(generate_audio_codes=note("codes", [1, 2])),
        "comfy.ldm.ace.ace_step15": SimpleNamespace(
            get_silence_latent=lambda frames, device: torch.zeros(1, 64, frames)
        ),
    }
    text, planner = {"norm.weight": torch.ones(2)}, {"norm.weight": torch.ones(3)}
    host = SimpleNamespace(module=modules.__getitem__)
    theirs = Theirs(host, {"a": torch.ones(1)}, [text, planner], {}, torch.float32)
    return theirs, calls


def test_weights_are_named_as_their_files_name_them_and_brought_in(hosted):
    _, calls = hosted
    named = {name: (given, words) for name, given, words in calls}
    assert [list(weights) for weights in named["texts"][0][0]] == [["model.norm.weight"]] * 2
    assert named["texts"][1]["clip_type"] == "ace"
    assert named["model"][1]["model_options"] == {"dtype": torch.float32}
    assert named["options"][0] == ({"execution_device": "card"},)
    assert named["bring in"][1] == {"force_full_load": True}


@pytest.mark.parametrize("guided", [False, True])
def test_a_step_of_theirs_runs_once_for_each_branch(hosted, guided):
    theirs, calls = hosted
    calls.clear()
    x, text, lyrics = torch.ones(1, 6, 64), torch.ones(1, 3, 8), torch.ones(1, 4, 8)
    theirs.step(x, 0.5, text, lyrics, guided)()
    assert [named["replace_with_null_embeds"] for _, _, named in calls] == [False, True][: 1 + guided]
    for name, given, named in calls:
        assert name == "network"
        assert given[0].shape == named["refer_audio"].shape == (1, 64, 6)
        assert float(given[1]) == 0.5
        assert named["is_covers"] is False


def test_a_song_of_theirs_is_wired_as_in_their_template(hosted):
    theirs, calls = hosted
    calls.clear()
    assert theirs.song(BRIEF, 30.0) == "VAEDecodeAudio's"
    words, zeroed, latent, sampled, decoded = calls
    assert words[0] == NODE
    assert words[2]["generate_audio_codes"] is False
    assert (words[2]["tags"], words[2]["duration"]) == (BRIEF.caption, 30.0)
    assert zeroed[:2] == ("ConditioningZeroOut", (f"{NODE}'s",))
    assert latent[2] == {"seconds": 30.0, "batch_size": 1}
    assert sampled[1][1:] == (
        *(1, 8, 1.0, "euler", "simple", f"{NODE}'s", "ConditioningZeroOut's"),
        *("EmptyAceStep1.5LatentAudio's", 1.0),
    )
    assert decoded[2]["samples"] == "KSampler's"


def test_codes_are_asked_for_in_their_form(hosted):
    theirs, calls = hosted
    calls.clear()
    assert theirs.composed([7, 8], [9], 5) == [1, 2]
    (name, given, named) = calls[-1]
    assert name == "codes"
    assert given == ("planner", [[(7, 1.0), (8, 1.0)]], [[(9, 1.0)]])
    assert (named["min_tokens"], named["max_tokens"]) == (5, 5)


def test_latents_and_sound_are_turned_for_their_decoder(hosted):
    theirs, calls = hosted
    assert theirs.decoded(torch.ones(1, 6, 64)).shape == (1, 64, 6)
    assert calls[-1] == ("decode", (1, 64, 6))
    assert theirs.silence(9).shape == (1, 9, 64)


# ------------------------------------------------------------------------------------------------------ the race
class Equal:
    """Theirs that answers as ours does, but for a factor."""

    def __init__(self, chain, planner, factor=1.0):
        self._chain, self._planner, self._factor = chain, planner, factor

    def decoder(self, x, t, enc, context):
        network = self._chain.sampler.transformer
        moment = network.modulations(torch.tensor([t]))[0]
        attended = bench_core_attended(network, enc)
        return self._factor * network(x, context, moment, attended, network.positions(x.shape[1], x)).cond

    def step(self, x, t, text, lyrics, guided):
        return lambda: None

    def decoded(self, latents):
        return self._factor * self._chain.vae.decode(latents)

    def read(self, prompt):
        return self._factor * Decoder(self._planner, (prompt,), 1, 1).hidden[:, None]

    def composed(self, given, away, codes):
        return [0] * codes

    def words(self, brief, seconds):
        return None

    song = words


def bench_core_attended(network, enc):
    from acestep_core.networks.dit import CrossAttended

    return CrossAttended(network.key_values(list(enc)))


@pytest.fixture(scope="module")
def ours():
    planner = filled(lambda: PlannerNetwork(SMALL, nn), torch.float32, where="cpu")
    return networks.chain(TINY, where="cpu"), planner


@pytest.mark.slow
def test_every_item_is_compared_then_raced(ours, monkeypatch):
    monkeypatch.setenv(harness.DEVICE, "cpu")
    both = Sides(*ours, Equal(*ours))
    with torch.inference_mode():
        rows = list(bench_core.rows(both, TINY, quick=True))
    assert [row.item.removesuffix(", against ComfyUI's own nodes") for row in rows] == [
        *("step, 10 s", "step, 10 s, guided", "decode, 1 s", "planner 1.7B"),
        *("words to conditions", "song of 10 s"),
    ]
    assert all("difference" in row.details for row in rows[:4])
    assert json.dumps([vars(row) for row in rows])


@pytest.mark.parametrize(
    "item",
    [
        lambda both: bench_core.step_row(both, TINY, 2.0, False, True),
        lambda both: bench_core.step_row(both, TINY, 2.0, True, True),
        lambda both: bench_core.decode_row(both, TINY, True),
        lambda both: bench_core.planner_row(both, True),
    ],
)
def test_an_opponent_that_answers_otherwise_is_not_raced(ours, monkeypatch, item):
    monkeypatch.setenv(harness.DEVICE, "cpu")
    monkeypatch.setattr(bench_core, "race", lambda *_: pytest.fail("raced"))
    with torch.inference_mode(), pytest.raises(AssertionError, match="from ComfyUI's"):
        item(Sides(*ours, Equal(*ours, factor=2.0)))


def test_quick_sizes_differ_in_depth_alone():
    quick, real = sides.sizes_of(True), sides.sizes_of(False)
    assert quick.config.num_hidden_layers < real.config.num_hidden_layers == 24
    assert quick.config.hidden_size == real.config.hidden_size == 2048
