"""What nodes tell ComfyUI they will need beside the weights is enough, and not three times too much."""

from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from support.comfyui import models as comfy_models
from support.comfyui.fake_gpu import replaced
from support.comfyui.giant_handles import SHALLOW, WHOLE
from support.comfyui.giant_nodes import RATE, giant_cards
from support.comfyui.handles import core
from support.comfyui.live_memory import LiveMemory, fused_attention

MB = 1024 * 1024
ROOMY_MB = 1024 * 1024
WORKSPACE_MB = 64  # of kernels, which no operator shows
PLANNERS = {  # vocabulary, width, width of the MLP, layers, heads, shared heads
    "0.6B": (217_204, 1024, 3072, 28, 16, 8),
    "4B": (217_204, 2560, 9728, 12, 32, 8),  # a third of its layers: their number is counted with the 0.6B
}


@pytest.fixture
def card(pack, models):
    """card("XL", variant, weights) -> the nodes on a card that has room for everything, with attention fused.

    What lives beside the weights is that of one layer, but for what all of them remember: a few tell, and WHOLE counts.
    """
    with (
        giant_cards(pack, models, ROOMY_MB) as made,
        replaced(F, scaled_dot_product_attention=fused_attention),
    ):
        yield partial(made, depth=SHALLOW)


def measured(card: Any, managed: Any, run: Callable[[], Any]) -> tuple[float, float]:
    """(told, taken) in MB by a node that brings in this network alone, whose weights are there already."""
    import comfy.model_management as mm

    told, load = [], mm.load_models_gpu
    managed.loaded(0)

    def load_models_gpu(models: Any, memory_required: float = 0, **more: Any) -> None:
        assert models == [managed.patcher]
        told.append(memory_required)
        load(models, memory_required=memory_required, **more)

    known = managed.network.parameters()
    with replaced(mm, load_models_gpu=load_models_gpu), LiveMemory(card.device, known) as live:
        run()
    assert len(told) == 1
    assert live.now < MB, "something of the run stays on the card"
    return told[0] / MB, live.peak / MB


def assert_sane(told: float, taken: float) -> None:
    assert taken < told < 3 * taken + WORKSPACE_MB, f"{told:.0f} MB told, {taken:.0f} MB taken"


@pytest.mark.parametrize(
    ("size", "weights", "songs", "seconds", "guidance", "depth"),
    [
        ("2B", "bf16", 1, 30.0, 1.0, WHOLE),
        ("2B", "fp32", 1, 600.0, 1.0, SHALLOW),
        ("2B", "fp8_e4m3fn", 4, 120.0, 7.0, SHALLOW),
        ("XL", "bf16", 1, 600.0, 7.0, SHALLOW),
    ],
)
def test_sampling(card, size, weights, songs, seconds, guidance, depth):
    card = card(size, weights=weights, depth=depth)
    conditions, source = card.conditions(), card.silence(songs, seconds)
    run = lambda: card.sampled(conditions, source, guidance=guidance)  # noqa: E731
    assert_sane(*measured(card, card.giant.model.transformer, run))


@pytest.mark.parametrize(
    ("weights", "songs", "guidance", "draws"), [("bf16", 1, 1.0, 1), ("fp32", 2, 7.0, 2)]
)
def test_editing(card, weights, songs, guidance, draws):
    card = card("2B", weights=weights)
    source, sides = card.silence(songs, 60.0), [card.conditions(), card.conditions(lyrics="other words")]
    given = {"seed": 0, "steps": 2, "what_changes": "whole", "start": 0.0, "end": 1.0}
    model, node = card.giant.model, card.nodes.edit.EditSong
    run = lambda: node.execute(model, *sides, source, guidance=guidance, draws=draws, **given)  # noqa: E731
    assert_sane(*measured(card, model.transformer, run))


@pytest.mark.parametrize(("size", "weights", "seconds"), [("2B", "bf16", 30.0), ("XL", "bf16", 240.0)])
def test_listening(card, pack, size, weights, seconds):
    card = card(size, weights=weights, depth=WHOLE)  # who listens sits deep
    conditions, source = card.conditions(lyrics="la la\n" * 300), card.silence(1, seconds)
    model, runs = card.giant.model, card.nodes.runs.listening
    songs = runs.played_songs(model, conditions, source, None, None)
    heads = core(pack, "analysis.heads").lyric_heads(model.config)
    run = lambda: runs.listen(model, songs, heads, [0.125])  # noqa: E731
    assert_sane(*measured(card, model.transformer, run))


@pytest.mark.parametrize(("weights", "references"), [("bf16", 0), ("fp32", 8)])
def test_encoding_long_lyrics_and_many_references(card, weights, references):
    card = card("2B", weights=weights)
    timbre = {"samples": torch.empty(references, 64, 750), "type": "audio"} if references else None
    run = lambda: card.conditions(lyrics="la la\n" * 2_000, timbre=timbre)  # noqa: E731
    assert_sane(*measured(card, card.giant.text.encoders, run))


@pytest.mark.parametrize("weights", ["bf16", "fp32"])
def test_codes_of_ten_minutes(card, weights):
    card = card("2B", weights=weights)
    node, model, source = card.nodes.codes, card.giant.model, card.silence()
    assert_sane(*measured(card, model.codec, lambda: node.AudioToCodes.execute(model, source)))
    codes = card.nodes.wires.sockets.CodeList((torch.empty(3_000, dtype=torch.int64),))
    assert_sane(*measured(card, model.codec, lambda: node.CodesToLatent.execute(model, codes)))


@pytest.mark.parametrize("weights", ["bf16", "fp32"])
def test_sound_to_latent_and_back(card, weights):
    card = card("2B", weights=weights)
    latent = {"samples": torch.empty(1, 64, 300), "type": "audio"}
    audio = {"waveform": torch.empty(1, 2, 12 * RATE), "sample_rate": RATE}
    vae = card.giant.vae
    assert_sane(*measured(card, vae.vae, lambda: card.nodes.vae.OobleckEncode.execute(vae, audio)))
    assert_sane(*measured(card, vae.vae, lambda: card.nodes.vae.OobleckDecode.execute(vae, latent)))


# --------------------------------------------------------------------------------------------- planners
@pytest.fixture
def core_planner_of(pack, models):
    """A planner of a network; what is beside the network is made before there is a card."""
    core = pack.acestep_core
    folder = models / "turbo" / "official" / comfy_models.PLANNER_FOLDER
    tokenizer = core.text.tokenizer.TextTokenizer.from_folder(folder)
    grammar = core.planner.grammar.Grammar(tokenizer)
    return lambda network: core.planner.planner.Planner(network, tokenizer, grammar)


@pytest.fixture
def planner_of(pack, core_planner_of, card):
    """planner_of("4B") -> what Load Planner outputs, on the card."""
    core, runtime = pack.acestep_core, pack.nodes.host.runtime

    def made(size):
        sizes = core.networks.qwen3.Qwen3Sizes(*PLANNERS[size], 128, 1e-6, 1e6)
        network = (
            core.planner.network.PlannerNetwork(sizes, runtime.OPS).to(torch.bfloat16).requires_grad_(False)
        )
        managed = runtime.Managed(network, runtime.Role.PLANNER, torch.bfloat16)
        return pack.nodes.wires.sockets.PlannerHandle(managed, core_planner_of(network), size)

    return made


def on_card(handle):
    return SimpleNamespace(device=handle.managed.device)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("size", "songs", "seconds", "guidance"),
    [("0.6B", 1, 30.0, 1.0), ("0.6B", 4, 600.0, 2.0), ("4B", 1, 120.0, 2.0)],
)
def test_composing(pack, planner_of, size, songs, seconds, guidance):
    handle, node = planner_of(size), pack.nodes.compose
    fields = ("slow piano", "la la\n" * 50, False, "auto", 0, "auto", "auto", seconds, songs, 0, guidance)
    run = lambda: node.ComposeCodes.execute(handle, *fields, may_end_early=True)  # noqa: E731
    assert_sane(*measured(on_card(handle), handle.managed, run))


@pytest.mark.slow
@pytest.mark.parametrize(("size", "guidance"), [("0.6B", 2.0), ("4B", 1.0), ("4B", 2.0)])
def test_planning(pack, planner_of, size, guidance):
    handle, core = planner_of(size), pack.acestep_core.planner
    generate_text = core.planner.generate_text
    free = torch.arange(0, 151_643)

    def written(network, prompts, guide, *how):
        points = map(core.grammar.ChoicePoint, [free, torch.tensor([3, 90_000]), free[:150_000]])
        guide = SimpleNamespace(done=False, forced=tuple, choice=points.__next__)
        left = iter([False, False, True])
        guide.take = lambda token: setattr(guide, "done", next(left))
        generate_text(network, prompts, guide, *how)
        return []

    fields = ("slow piano", "la la\n" * 200, False, "auto", 0, "auto", "auto", 0.0, True, 0, guidance)
    with replaced(core.planner, generate_text=written):
        run = lambda: pack.nodes.plan.Plan.execute(handle, *fields)  # noqa: E731
        assert_sane(*measured(on_card(handle), handle.managed, run))
