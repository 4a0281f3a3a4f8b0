"""The transformer equals the reference model, and keeps its laws."""

import copy

import pytest
import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile

from acestep_core.networks import dit
from acestep_core.networks.dit import CrossAttended, DiffusionTransformer, DiTBlock
from support.reference.golden import golden_case, golden_transformer
from support.reference.oracle import CONFIGS, SMALL, evaluate, furthest, transformers_of

MODULE = 5e-5


def song(frames: int, batch: int = 1, tokens: int = 17, name: str = "2B-like", seed: int = 0):
    config = CONFIGS[name]
    latent, width = config.audio_acoustic_hidden_dim, config.encoder_hidden_size
    generator = torch.Generator().manual_seed(seed)
    sizes = ((batch, frames, latent), (batch, frames, 2 * latent), (batch, tokens, width))
    return [torch.randn(size, generator=generator) for size in sizes]


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize(
    ("frames", "tokens", "batch"), [(1, 3, 1), (14, 5, 1), (25, 40, 1), (64, 17, 2), (121, 9, 3)]
)
def test_equals_the_reference_model(name, frames, tokens, batch):
    theirs, ours = transformers_of(name)
    x, context, enc = song(frames, batch, tokens, name)
    times = torch.full((batch,), 0.7)

    expected = theirs(x, times, times, enc, context, return_dict=False)[0]

    assert furthest(evaluate(ours, x, context, enc, 0.7), expected) < MODULE


@pytest.mark.parametrize("case", ["even", "odd", "batch", "meanflow", "one_frame", "inside_window"])
def test_equals_the_golden_data(case):
    data = golden_case("modules", f"dit/{case}")
    out = evaluate(
        golden_transformer(),
        data["in_x"],
        data["in_context"],
        data["in_enc"],
        data["in_t"][0],
        data["in_r"][0],
    )
    # relative to the peak (up to 6.4): the reference model itself lands 5.3e-5 beside its recording on another CPU,
    # because cos(1000 t f) magnifies the last bit of f
    assert furthest(out, data["out"]) < MODULE * max(1.0, data["out"].abs().max())


@pytest.mark.parametrize("name", CONFIGS)
def test_bf16_is_as_close_to_fp32_as_the_reference_model_in_bf16(name):
    theirs, ours = transformers_of(name)
    given = song(40, name=name)
    half = DiffusionTransformer(CONFIGS[name], nn).to(torch.bfloat16).requires_grad_(False)
    half.load_state_dict(ours.state_dict())
    rounded = [tensor.to(torch.bfloat16) for tensor in given]
    t = torch.tensor([0.75], dtype=torch.bfloat16)
    x, context, enc = rounded

    exact = evaluate(ours, *given, 0.75)
    out = evaluate(half, *rounded, 0.75)
    reference = copy.deepcopy(theirs).to(torch.bfloat16)(x, t, t, enc, context, return_dict=False)[0]

    assert out.dtype == torch.bfloat16
    assert (out.float() - exact).norm() < 1.5 * (reference.float() - exact).norm()


def test_an_odd_song_keeps_its_length_and_never_sees_what_would_come_after():
    _, ours = transformers_of("2B-like")
    x, context, enc = song(22)
    short = evaluate(ours, x[:, :21], context[:, :21], enc, 0.5)
    padded = evaluate(
        ours,
        torch.cat((x[:, :21], 0 * x[:, :1]), 1),
        torch.cat((context[:, :21], 0 * context[:, :1]), 1),
        enc,
        0.5,
    )
    assert short.shape[1] == 21
    assert torch.equal(short, padded[:, :21])


def test_a_song_in_a_batch_is_the_song_alone_whatever_the_lengths_of_the_conditions():
    _, ours = transformers_of("2B-like")
    x, context, _ = song(30, batch=3)
    items = [
        torch.randn(length, 48, generator=torch.Generator().manual_seed(length)) for length in (4, 31, 12)
    ]
    modulation, positions = ours.modulations(torch.tensor([0.6]))[0], ours.positions(30, x)

    def played(songs, conditions):
        attended = CrossAttended(ours.key_values(conditions))
        return ours(x[songs], context[songs], modulation, attended, positions).cond

    together = played(slice(3), items)
    for i, item in enumerate(items):
        alone = played(slice(i, i + 1), [item])
        assert furthest(together[i : i + 1], alone) < MODULE


def test_one_condition_serves_a_whole_batch():
    _, ours = transformers_of("XL-like")
    x, context, enc = song(30, batch=2, name="XL-like")
    modulation, positions = ours.modulations(torch.tensor([0.6]))[0], ours.positions(30, x)
    shared, repeated = (
        ours(x, context, modulation, CrossAttended(ours.key_values([enc[0]] * count)), positions).cond
        for count in (1, 2)
    )
    assert furthest(shared, repeated) < 1e-6


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("tokens", [1, 100])
def test_the_unconditional_branch_equals_a_condition_that_repeats_the_null_row(name, tokens):
    _, ours = transformers_of(name)
    x, context, enc = song(33, batch=2, name=name)
    null = ours.null_condition_emb.expand(2, tokens, -1)
    attended = CrossAttended(ours.key_values(list(enc)), ours.null_outputs(x))

    both = ours(x, context, ours.modulations(torch.tensor([0.4]))[0], attended, ours.positions(33, x))

    assert (
        furthest(both.cond, evaluate(ours, x, context, enc, 0.4)) < MODULE
    )  # twice the rows may add up in another order
    assert furthest(both.uncond, evaluate(ours, x, context, null, 0.4)) < MODULE


def test_all_moments_at_once_equal_one_moment_at_a_time():
    _, ours = transformers_of("2B-like")
    times = torch.tensor([1.0, 0.9, 0.3])
    for together, t in zip(ours.modulations(times), times, strict=True):
        alone = ours.modulations(t[None])[0]
        assert furthest(together.blocks, alone.blocks) < 1e-5
        assert furthest(together.output, alone.output) < 1e-5


def test_an_evaluation_changes_none_of_its_inputs():
    _, ours = transformers_of("2B-like")
    given = song(19)
    before = [tensor.clone() for tensor in given]
    evaluate(ours, *given, 0.5)
    assert all(torch.equal(a, b) for a, b in zip(given, before, strict=True))


@pytest.mark.parametrize("guided", [False, True])
def test_a_long_song_is_made_in_pieces_and_is_the_whole(monkeypatch, guided):
    _, ours = transformers_of("2B-like")
    x, context, enc = song(61, batch=2)
    attended = CrossAttended(ours.key_values(list(enc)), ours.null_outputs(x) if guided else None)
    given = context, ours.modulations(torch.tensor([0.4]))[0], attended, ours.positions(61, x)
    whole, told, lengths = ours(x, *given), DiTBlock.told, set()

    def noted(block, piece, *more):
        lengths.add(piece.shape[1])
        return told(block, piece, *more)

    monkeypatch.setattr(dit, "PIECE", 9)  # 31 tokens
    monkeypatch.setattr(DiTBlock, "told", noted)
    pieced = ours(x, *given)
    assert lengths == {9, 31 % 9}
    assert furthest(pieced.cond, whole.cond) < MODULE
    assert not guided or furthest(pieced.uncond, whole.uncond) < MODULE


def test_no_weight_is_written_out_for_the_songs_of_a_batch(monkeypatch):
    """As torch does where what goes into a product has gaps between its songs."""
    _, ours = transformers_of("2B-like")
    x, context, enc = song(61, batch=2)
    attended = CrossAttended(ours.key_values(list(enc)), None)
    monkeypatch.setattr(dit, "PIECE", 9)
    with profile(activities=[ProfilerActivity.CPU]) as seen:
        ours(x, context, ours.modulations(torch.tensor([0.4]))[0], attended, ours.positions(61, x))
    assert "aten::bmm" not in {event.key for event in seen.key_averages()}


def test_on_a_card_and_where_weights_are_cast_a_long_song_stays_whole():
    long = torch.empty(1, dit.PIECE + 1, 4)
    assert [len(piece[0]) for piece in dit.pieces(long, long)] == [dit.PIECE, 1]
    assert len(dit.pieces(long, long.bfloat16())) == 1
    assert len(dit.pieces(long.to("meta"), long)) == 1


def test_the_key_names_are_those_of_the_official_checkpoint():
    keys = DiffusionTransformer(SMALL, nn).state_dict()
    for key in (
        "proj_in.1.weight",
        "proj_out.1.bias",
        "layers.0.cross_attn.q_norm.weight",
        "time_embed_r.time_proj.bias",
    ):
        assert key in keys
    assert tuple(keys["proj_in.1.weight"].shape) == (48, 24, 2)
    assert tuple(keys["proj_out.1.weight"].shape) == (48, 8, 2)
