"""Codes equal the reference model's exactly; all 64,000 survive a round trip."""

import pytest
import torch
from torch import nn

from acestep_core.errors import InvalidInputError
from acestep_core.networks.audio_codes import AudioCodec, FiniteScalarQuantizer
from support.reference.golden import golden_case, golden_codec, golden_silence
from support.reference.oracle import CONFIGS, SMALL, codecs_of, furthest

MODULE = 5e-5
LEVELS = (8, 8, 8, 5, 5, 5)


def latents(frames: int, batch: int = 1, seed: int = 0):
    return 1.5 * torch.randn(batch, frames, 8, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize(("frames", "batch"), [(5, 1), (60, 2), (23, 2), (3, 1)])
def test_equals_the_reference_model(name, frames, batch):
    tokenizer, detokenizer, ours = codecs_of(name)
    x, silence = latents(frames, batch), latents(10, seed=9)
    quantized, indices = tokenizer.tokenize(x, silence)

    codes = ours.encode(x, silence)

    assert torch.equal(codes, indices.squeeze(-1))
    assert furthest(ours.tokenizer.quantizer.decode(codes), quantized) < MODULE
    assert furthest(ours.hints(codes, torch.float32), detokenizer(quantized)) < MODULE


@pytest.mark.parametrize("case", ["exact", "ragged", "single"])
def test_equals_the_golden_data(case):
    data = golden_case("modules", f"codec/{case}")
    codes = golden_codec().encode(data["in_x"], golden_silence())
    assert torch.equal(codes, data["out_indices"].squeeze(-1))
    assert furthest(golden_codec().hints(codes, torch.float32), data["out_detok"]) < MODULE


def test_the_rounding_grid_equals_the_golden_data():
    data = golden_case("modules", "codec/fsq")
    quantizer = golden_codec().tokenizer.quantizer
    codes = quantizer.round(data["in_z"])
    assert torch.equal(codes, data["out_indices"])
    assert furthest(quantizer.values(codes), data["out_codes"]) < 1e-6


def test_every_code_survives_a_round_trip():
    quantizer = FiniteScalarQuantizer(4, LEVELS)
    codes = torch.arange(64_000)
    values = quantizer.values(codes)
    bound = 1 + 1 / (torch.tensor(LEVELS) - 1)
    assert quantizer.size == 64_000
    assert torch.equal(quantizer.round(bound * torch.atanh(values / bound)), codes)


@pytest.mark.parametrize(
    ("code", "digits"),
    [(35847, (7, 0, 0, 0, 4, 2)), (63999, (7, 7, 7, 4, 4, 4)), (12345, (1, 7, 0, 4, 4, 0))],
)
def test_the_first_digit_is_the_smallest(code, digits):
    values = FiniteScalarQuantizer(4, LEVELS).values(torch.tensor(code))
    expected = [2 * digit / (level - 1) - 1 for digit, level in zip(digits, LEVELS, strict=True)]
    assert values.tolist() == pytest.approx(expected)


def test_rounding_agrees_with_the_library_the_model_was_trained_with():
    from vector_quantize_pytorch import ResidualFSQ

    z = 2 * torch.randn(1, 5_000, 6, generator=torch.Generator().manual_seed(0))
    values, indices = ResidualFSQ(dim=6, levels=list(LEVELS), num_quantizers=1).train(False)(z)
    quantizer = FiniteScalarQuantizer(4, LEVELS)
    assert torch.equal(quantizer.round(z), indices.squeeze(-1))
    assert furthest(quantizer.values(quantizer.round(z)), values) < 1e-6


def test_a_ragged_end_is_filled_with_the_first_frames_of_silence():
    *_, ours = codecs_of("2B-like")
    x, silence = latents(13), latents(20, seed=5)
    filled = torch.cat((x, silence[:, :2]), 1)
    assert torch.equal(ours.encode(x, silence), ours.encode(filled, silence))
    assert not torch.equal(
        ours.encode(x, silence), ours.encode(torch.cat((x, 0 * silence[:, :2]), 1), silence)
    )


def test_a_code_depends_on_its_own_five_frames_only():
    *_, ours = codecs_of("2B-like")
    x = latents(40)
    other = x.clone()
    other[:, 17] += 2
    different = (ours.encode(x, x) != ours.encode(other, x)).flatten()
    assert different.nonzero().flatten().tolist() == [3]


def test_codes_do_not_depend_on_the_files_precision_of_the_quantizer():
    *_, exact = codecs_of("2B-like")
    half = AudioCodec(SMALL, nn)
    half.load_state_dict(exact.state_dict())
    half.tokenizer.quantizer.to(torch.bfloat16)
    pooled = torch.randn(500, 48, generator=torch.Generator().manual_seed(1))
    assert half.tokenizer.quantizer.project_in(pooled).dtype == torch.float32
    assert half.tokenizer.quantizer.decode(torch.arange(4)).dtype == torch.float32


def test_a_network_in_bf16_is_quantised_in_fp32():
    quantizer = codecs_of("2B-like")[-1].tokenizer.quantizer
    pooled = torch.randn(5_000, 48, generator=torch.Generator().manual_seed(1)).to(torch.bfloat16)
    z = pooled.double() @ quantizer.project_in.weight.double().T + quantizer.project_in.bias.double()
    assert torch.equal(quantizer.encode(pooled), quantizer.round(z.float()))


@pytest.mark.parametrize("codes", [[[-1, 4]], [[0, 64_000]]])
def test_foreign_codes_are_refused(codes):
    with pytest.raises(InvalidInputError, match="this model knows 0 to 63999"):
        golden_codec().hints(torch.tensor(codes), torch.float32)


def test_no_codes_and_no_frames_are_refused():
    with pytest.raises(InvalidInputError, match="no audio codes"):
        golden_codec().hints(torch.zeros(1, 0, dtype=torch.long), torch.float32)
    with pytest.raises(InvalidInputError, match="no frame"):
        golden_codec().encode(torch.zeros(1, 0, 8), golden_silence())
