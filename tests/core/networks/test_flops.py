"""What there is to compute is counted as torch counts it."""

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from acestep_core.networks.config import ModelConfig, VaeConfig
from acestep_core.networks.dit import CrossAttended, DiffusionTransformer
from acestep_core.networks.flops import decoding_flop, evaluation_flop
from acestep_core.networks.oobleck import Oobleck
from acestep_core.timebase import FRAMES_PER_SECOND
from support.tiny.shapes import FULL_SIZE, FULL_VAE

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
