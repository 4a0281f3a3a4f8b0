"""Small cards that check every operator for tensors that were left on the wrong device: the published sizes on 4 GB, and
networks as wide as those, of fewer layers, on 2 GB.
"""

from functools import partial
from typing import Any

import pytest
import torch

from support.comfyui.fake_gpu import loaded_bytes, replaced
from support.comfyui.giant_handles import SHALLOW
from support.comfyui.giant_nodes import RATE, giant_cards

pytestmark = pytest.mark.slow

MB = 1024 * 1024
CARD_MB = 4096  # too little for the XL, and for the 2B in fp32
SMALL_MB = 2048  # too little for a few layers of the XL
FRAMES_10 = 15_000  # ten minutes
MOST_TOKENS = 4096  # more than a condition can have


@pytest.fixture
def card(pack, models):
    """card("XL", variant, weights) -> the nodes on that card."""
    with giant_cards(pack, models, CARD_MB) as made:
        yield made


@pytest.fixture
def shallow(pack, models):
    """shallow("XL", variant, weights) -> nodes of networks as wide as those, of fewer layers, on a smaller card.

    For what does not depend on how many there are: every layer runs the same lines.
    """
    with giant_cards(pack, models, SMALL_MB) as made:
        yield partial(made, depth=SHALLOW)


def is_there_in_part(managed: Any) -> bool:
    return 0 < managed.patcher.loaded_size() < managed.patcher.model_size()


@pytest.mark.parametrize(
    ("size", "weights", "in_part"),
    [("2B", "bf16", False), ("2B", "fp32", True), ("XL", "bf16", True), ("XL", "fp8_e4m3fn", True)],
)
def test_text2music_of_ten_minutes(card, size, weights, in_part):
    card = card(size, weights=weights)
    conditions = card.conditions()
    assert is_there_in_part(card.giant.text.encoders) == (weights == "fp32")
    card.sampled(conditions, card.silence())
    assert is_there_in_part(card.giant.model.transformer) == in_part
    assert loaded_bytes(card.device) <= CARD_MB * MB


@pytest.mark.parametrize("weights", ["bf16", "fp32"])
def test_sound_to_latent_and_back(shallow, weights):
    card = shallow("2B", weights=weights)
    card.conditions()  # so that the VAE has to send another network away
    latent = card.encoded(11.0)
    audio = card.nodes.vae.OobleckDecode.execute(card.giant.vae, latent).args[0]
    assert audio["waveform"].shape == (1, 2, 11 * RATE)
    assert audio["waveform"].device == latent["samples"].device == torch.device("cpu")


@pytest.mark.parametrize("size", ["2B", "XL"])
def test_a_cover_through_codes(shallow, size):
    card = shallow(size)
    codes = card.nodes.codes.AudioToCodes.execute(card.giant.model, card.silence()).args[0]
    assert len(codes.items[0]) == FRAMES_10 // 5
    assert codes.items[0].device == torch.device("cpu")
    hints = card.nodes.codes.CodesToLatent.execute(card.giant.model, codes).args[0]
    words = [card.conditions(task) for task in ("cover", "text2music")]
    more = {"start_from": hints, "noise_strength": 0.3, "cover_strength": 0.5, "second_conditions": words[1]}
    card.sampled(words[0], hints, steps=4, **more)


@pytest.mark.parametrize("size", ["2B", "XL"])
def test_a_repaint_with_a_soft_seam(shallow, size):
    card = shallow(size)
    source = card.silence()
    mask = card.nodes.latents.ChunkMask.execute(source, 10.0, 20.0, 2.0).args[0]
    card.sampled(card.conditions("repaint", source=source), source, mask=mask)
    assert is_there_in_part(card.giant.model.transformer) == (size == "XL")
    assert loaded_bytes(card.device) <= SMALL_MB * MB


@pytest.mark.parametrize(("size", "solver", "steps"), [("2B", "heun", 1), ("XL", "sde", 2)])
def test_two_songs_with_words_of_unequal_length_under_guidance(shallow, size, solver, steps):
    card = shallow(size, "BASE")
    words = (*card.conditions(), *card.conditions(lyrics="la la\n" * 400))
    assert len({len(item.enc) for item in words}) == 2
    card.sampled(words, card.silence(songs=2), solver=solver, steps=steps)


@pytest.mark.parametrize(("size", "cfg"), [("2B", 4.0), ("XL", 1.0)])
def test_ksampler_plays_the_wired_model(host, shallow, size, cfg):
    """Its noise, schedule and guider are ComfyUI's own; conditions longer than any song's are cut to what there is."""
    card = shallow(size, "BASE", weights="bf16" if size == "XL" else "fp32")
    source = card.silence()
    card.watch.whole = MOST_TOKENS
    hand = card.nodes.to_model.ToModel.execute(card.giant.model, card.conditions(), source, 0, "apg").args
    model, positive, negative, latent = hand[:4]
    ksampler = host.module("nodes").KSampler()
    (played,) = ksampler.sample(model, 0, 2, cfg, "euler", "simple", positive, negative, latent)
    assert played["samples"].shape == source["samples"].shape
    assert is_there_in_part(card.giant.model.transformer)
    assert loaded_bytes(card.device) <= SMALL_MB * MB


def test_every_extra(shallow):
    card = shallow("2B", "BASE")
    extras = card.nodes.sampling_extras.SamplingExtras.execute(2.0, 0.2, "double", 0.1, 0.02, True).args[0]
    card.sampled(card.conditions(), card.silence(), guidance_kind="adg_w_norm", extras=extras)


def test_a_picture_costs_one_small_copy_from_the_card(pack, card):
    card = card("2B")  # all of it is there, so that nothing else is copied
    conditions, source = card.conditions(), card.silence(songs=2)
    card.giant.model.transformer.loaded(
        MB
    )  # what has to make room leaves the card before anything is counted
    card.watch.fetched.clear()
    with replaced(pack.nodes.runs.envelope, SHARE=1e9):  # a picture in every step
        card.sampled(conditions, source, steps=2)
    assert card.watch.fetched == [(2, FRAMES_10)] * 2 + [(2, 64, FRAMES_10)]
