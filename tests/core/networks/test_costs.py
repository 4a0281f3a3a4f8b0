"""The estimate of a run's memory grows with all that really takes memory; operations are counted as torch counts them."""

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from acestep_core.networks.config import ModelConfig, VaeConfig
from acestep_core.networks.costs import (
    WORKSPACE,
    decoding_flop,
    encoding_bytes,
    evaluation_flop,
    listening_bytes,
    planning_bytes,
    sampling_bytes,
)
from acestep_core.networks.dit import CrossAttended, DiffusionTransformer
from acestep_core.networks.oobleck import Oobleck
from acestep_core.networks.qwen3 import Qwen3Sizes
from acestep_core.planner.generation import CodeTokens, Options, Prompts, compose_codes
from acestep_core.timebase import FRAMES_PER_SECOND
from support.comfyui.live_memory import LiveMemory
from support.reference.oracle import SMALL
from support.reference.planner import pair
from support.tiny.shapes import FULL_SIZE, FULL_VAE

RUN = {"songs": 2, "frames": 500, "tokens": 300, "steps": 8, "guided": False, "itemsize": 2}


def beyond_the_workspace(**changed) -> int:
    return sampling_bytes(SMALL, **{**RUN, **changed}) - WORKSPACE


@pytest.mark.parametrize(
    "more", [{"songs": 3}, {"frames": 502}, {"tokens": 301}, {"steps": 9}, {"guided": True}, {"itemsize": 4}]
)
def test_whatever_is_more_takes_more(more):
    assert beyond_the_workspace(**more) > beyond_the_workspace()


def test_guidance_takes_as_much_again_as_the_networks_rows_do():
    long, short = (
        beyond_the_workspace(frames=frames, tokens=0, steps=0, guided=False) for frames in (1_000, 500)
    )
    rows_and_state = long - short  # of 500 frames
    guided = beyond_the_workspace(tokens=0, steps=0, guided=True) - short
    assert 0.5 * rows_and_state < guided < rows_and_state


def test_twice_the_songs_take_twice_the_memory_but_for_the_steps_tables():
    one, two = (beyond_the_workspace(songs=songs, steps=0) for songs in (1, 2))
    assert two == pytest.approx(2 * one, abs=2)


def test_an_encoder_takes_memory_per_token():
    one, two = (encoding_bytes(SMALL.encoder_stack, tokens, 4) - WORKSPACE for tokens in (750, 1_500))
    assert two == pytest.approx(2 * one, abs=2)


def test_a_stack_without_window_writes_no_blocks_out():
    stack = replace(SMALL.encoder_stack, mlp_width=1)
    assert encoding_bytes(replace(stack, window=None), 750, 4) < encoding_bytes(stack, 750, 4)


PLANNER = Qwen3Sizes(70_000, 128, 384, 4, 4, 2, 64, 1e-6, 1e6)


@pytest.mark.parametrize(("rows", "tokens"), [(4, 20_000), (2, 30_000), (9, 40_000)])
def test_a_planner_remembers_every_token_of_every_row(rows, tokens):
    told = [planning_bytes(PLANNER, number, tokens, torch.bfloat16) for number in (rows - 1, rows)]
    itemsize, heads = 2, 2 * PLANNER.num_hidden_layers * PLANNER.num_key_value_heads
    assert told[1] - told[0] > itemsize * heads * PLANNER.head_dim * tokens


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("songs", "negative"), [(1, False), (1, True), (4, True)])
def test_composing_takes_no_more_than_was_told_and_more_than_half_of_it(songs, negative, dtype):
    planner = pair(PLANNER)[1].to(dtype)
    prompt, count = list(range(900)), 20
    told = planning_bytes(PLANNER, songs * (1 + negative), len(prompt) + count, dtype, 0) - WORKSPACE
    with LiveMemory(torch.device("cpu"), planner.parameters()) as live:
        compose_codes(
            planner,
            Prompts(prompt, prompt[:500] if negative else None),
            CodeTokens(range(1_000, 65_000), end=999),
            count,
            Options(seeds=range(songs)),
        )
    assert 0.5 * told < live.peak < told


@pytest.mark.parametrize("more", [{"frames": 502}, {"tokens": 301}, {"heads": 3}, {"itemsize": 4}])
def test_listening_takes_more_with_whatever_is_more(more):
    run = {"frames": 500, "tokens": 300, "heads": 2, "itemsize": 2}
    assert listening_bytes(SMALL, **{**run, **more}) > listening_bytes(SMALL, **run)


# ------------------------------------------------------------------------------------------------ operations
MODEL, VAE = ModelConfig.from_json(FULL_SIZE), VaeConfig.from_json(FULL_VAE)


def product(_, left, right, **words) -> int:
    return 2 * left[0] * left[1] * right[1]


IN_PLACE = {torch.ops.aten.addmm_: product}  # which torch leaves out


def counted(compute) -> int:
    with torch.no_grad(), FlopCounterMode(display=False, custom_mapping=IN_PLACE) as counting:
        compute()
    return counting.get_total_flops()


@pytest.mark.parametrize("frames", [50, 232])
def test_a_decoded_frame(frames):
    with torch.device("meta"):
        vae, song = Oobleck(VAE), torch.empty(frames, VAE.decoder_input_channels)
        exact = counted(lambda: vae.decoder(song))
    assert decoding_flop(VAE) * frames == pytest.approx(
        exact, rel=0.03
    )  # convolutions reach beyond both ends


def test_a_second_of_sound_of_the_published_vae():
    assert decoding_flop(VAE) * FRAMES_PER_SECOND == pytest.approx(122e9, rel=0.01)


@pytest.mark.parametrize(("rows", "frames"), [(1, 750), (2, 750), (1, 6_000)])
def test_an_evaluation_is_its_weights_with_attention_on_top(rows, frames):
    with torch.device("meta"), torch.no_grad():
        transformer = DiffusionTransformer(MODEL, nn)
        x, context = torch.empty(rows, frames, 64), torch.empty(rows, frames, 128)
        conditions = [torch.empty(300, MODEL.hidden_size)] * rows
        attended = CrossAttended(transformer.key_values(conditions), None)
        given = x, context, transformer.modulations(torch.tensor([0.5]))[0], attended
        exact = counted(lambda: transformer(*given, transformer.positions(frames, x)))
    assert 0.65 * exact < evaluation_flop(MODEL, rows, frames) < exact
