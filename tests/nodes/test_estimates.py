"""What nodes tell ComfyUI they will need beside the weights is enough, and not three times too much."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from fake_gpu import replaced
from giant_nodes import RATE, giant_cards
from live_memory import LiveMemory, fused_attention

MB = 1024 * 1024
ROOMY_MB = 1024 * 1024
WORKSPACE_MB = 64  # of kernels, which no operator shows


@pytest.fixture
def card(pack, models):
    """card("XL", variant, weights) -> the nodes on a card that has room for everything, with attention fused."""
    with (
        giant_cards(pack, models, ROOMY_MB) as made,
        replaced(F, scaled_dot_product_attention=fused_attention),
    ):
        yield made


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
    ("size", "weights", "songs", "seconds", "guidance"),
    [
        ("2B", "bf16", 1, 30.0, 1.0),
        ("2B", "fp32", 1, 600.0, 1.0),
        ("2B", "fp8_e4m3fn", 4, 120.0, 7.0),
        ("XL", "bf16", 1, 600.0, 7.0),
    ],
)
def test_sampling(card, size, weights, songs, seconds, guidance):
    card = card(size, weights=weights)
    conditions, source = card.conditions(), card.silence(songs, seconds)
    run = lambda: card.sampled(conditions, source, guidance=guidance)  # noqa: E731
    assert_sane(*measured(card, card.giant.model.transformer, run))


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
    codes = card.nodes.sockets.CodeList((torch.empty(3_000, dtype=torch.int64),))
    assert_sane(*measured(card, model.codec, lambda: node.CodesToLatent.execute(model, codes)))


@pytest.mark.parametrize("weights", ["bf16", "fp32"])
def test_sound_to_latent_and_back(card, weights):
    card = card("2B", weights=weights)
    latent = {"samples": torch.empty(1, 64, 300), "type": "audio"}
    audio = {"waveform": torch.empty(1, 2, 12 * RATE), "sample_rate": RATE}
    vae = card.giant.vae
    assert_sane(*measured(card, vae.vae, lambda: card.nodes.vae.OobleckEncode.execute(vae, audio)))
    assert_sane(*measured(card, vae.vae, lambda: card.nodes.vae.OobleckDecode.execute(vae, latent)))
