"""The VAE equals the reference model's, whatever file its weights come from."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from acestep_core.errors import InvalidAudioError, InvalidInputError, UnsupportedCheckpointError
from acestep_core.networks.oobleck import Oobleck
from support.reference.golden import GOLDEN
from support.reference.vae import FULL, TINY, latents, oobleck_of, reference, sound, vaes

pytestmark = pytest.mark.filterwarnings("ignore:.*weight_norm. is deprecated:FutureWarning")

MODULE = 5e-5
FRAME = 1_920


def furthest(ours, theirs):
    assert ours.shape == theirs.shape
    return (ours - theirs).abs().max().item()


@pytest.mark.parametrize(("frames", "batch"), [(1, 1), (7, 1), (24, 2)])
def test_decode_equals_the_reference_model(frames, batch):
    theirs, ours = vaes()
    z = latents(frames, batch)
    assert furthest(ours.decode(z), theirs.decode(z.mT).sample) < MODULE


@pytest.mark.parametrize(
    ("samples", "batch"), [(FRAME, 1), (7 * FRAME + 1_919, 1), (12 * FRAME + 1, 2), (9 * FRAME, 1)]
)
def test_encode_equals_the_reference_model(samples, batch):
    theirs, ours = vaes()
    audio = sound(samples, batch)
    expected = theirs.encode(audio).latent_dist

    posterior = ours.encode(audio)

    assert furthest(posterior.mean, expected.mean.mT) < MODULE
    assert furthest(posterior.std, expected.std.mT) < MODULE


def test_equals_the_golden_data():
    vae = oobleck_of(load_file(GOLDEN / "tiny_official/vae/diffusion_pytorch_model.safetensors"))
    golden = load_file(GOLDEN / "golden_modules.safetensors")
    posterior = vae.encode(golden["vae/encode/in_wav"])
    assert furthest(vae.decode(golden["vae/decode/in_z"].mT), golden["vae/decode/out"]) < MODULE
    assert furthest(posterior.mean, golden["vae/encode/out_mean"].mT) < MODULE
    assert furthest(posterior.std, golden["vae/encode/out_std"].mT) < MODULE


@pytest.mark.parametrize("strides", [(2, 4, 4, 8, 8), (2, 4, 4, 4, 15)])
def test_a_vae_of_another_frame_rate_is_refused(strides):
    with pytest.raises(UnsupportedCheckpointError, match="1920 samples"):
        Oobleck(replace(TINY, downsampling_ratios=strides))


def test_the_full_size_has_the_published_parameters():
    with torch.device("meta"):
        theirs, ours = reference(FULL), Oobleck(FULL)
    for side, tensors, numbers in (("encoder", 183, 84_281_344), ("decoder", 182, 84_414_082)):
        published = theirs.get_submodule(side).state_dict()
        lengths = [tensor for key, tensor in published.items() if key.endswith("weight_g")]
        assert len(published) == tensors
        assert sum(tensor.numel() for tensor in published.values()) == numbers

        own = ours.get_submodule(side).state_dict()
        assert len(own) == tensors - len(lengths)
        assert sum(tensor.numel() for tensor in own.values()) == numbers - sum(g.numel() for g in lengths)


@pytest.mark.parametrize("samples", [FRAME, FRAME + 1, 2 * FRAME - 1, 2 * FRAME, 5 * FRAME + 959])
def test_audio_becomes_its_whole_frames(samples):
    assert vaes()[1].encode(sound(samples)).mean.shape == (1, samples // FRAME, 8)


@pytest.mark.parametrize("frames", [1, 2, 11])
def test_a_frame_becomes_1920_samples(frames):
    assert vaes()[1].decode(latents(frames)).shape == (1, 2, FRAME * frames)


def test_a_frame_is_heard_less_than_ten_frames_away():
    vae, z = vaes()[1], latents(30)
    other = z.clone()
    other[:, 15] += 3
    changed = (vae.decode(z) != vae.decode(other)).any(1)[0].nonzero()
    assert changed.min() / FRAME >= 15 - 8.4
    assert changed.max() / FRAME < 15 + 9.4


@pytest.mark.parametrize(
    ("sample", "first", "last"), [(14 * FRAME, 14 - 7, 14 + 6), (15 * FRAME - 1, 14 - 6, 14 + 7)]
)
def test_a_sample_colours_seven_frames_around_it(sample, first, last):
    vae, audio = vaes()[1], sound(30 * FRAME)
    other = audio.clone()
    other[:, :, sample] += 3
    changed = (vae.encode(audio).mean != vae.encode(other).mean).any(-1)[0].nonzero()
    assert (changed.min(), changed.max()) == (first, last)


def test_the_input_is_never_written_to():
    vae, z, audio = vaes()[1], latents(5), sound(5 * FRAME)
    kept = z.clone(), audio.clone()
    vae.decode(z)
    vae.encode(audio)
    assert torch.equal(z, kept[0])
    assert torch.equal(audio, kept[1])


def test_a_song_alone_equals_the_song_in_a_batch():
    vae, z, audio = vaes()[1], latents(6, batch=3), sound(6 * FRAME, batch=3)
    assert torch.equal(vae.decode(z)[1:2], vae.decode(z[1:2]))
    assert torch.equal(vae.encode(audio).mean[2:], vae.encode(audio[2:]).mean)


def test_strides_of_the_input_do_not_matter():
    vae, z, audio = vaes()[1], latents(6, batch=2), sound(6 * FRAME, batch=2)
    assert torch.equal(vae.decode(z.mT.contiguous().mT), vae.decode(z))
    assert torch.equal(vae.encode(audio.mT.contiguous().mT).mean, vae.encode(audio).mean)


def test_a_seeded_sample_is_mean_and_noise_of_the_seed():
    posterior = vaes()[1].encode(sound(4 * FRAME, batch=2))
    sample = posterior.sample(torch.Generator().manual_seed(3))
    noise = torch.randn(2, 4, 8, generator=torch.Generator().manual_seed(3))
    torch.testing.assert_close(sample, posterior.mean + posterior.std * noise)
    assert torch.equal(sample, posterior.sample(torch.Generator().manual_seed(3)))
    assert not torch.equal(sample, posterior.sample(torch.Generator().manual_seed(4)))


def test_bf16_runs_close_to_fp32_and_answers_in_fp32():
    theirs, ours = vaes()
    half = oobleck_of(theirs.state_dict(), dtype=torch.bfloat16)
    for exact, rough in (
        (ours.decode(latents(12)), half.decode(latents(12))),
        (ours.encode(sound(12 * FRAME)).mean, half.encode(sound(12 * FRAME)).mean),
    ):
        assert rough.dtype == torch.float32
        assert (rough - exact).norm() < 0.05 * exact.norm()


@pytest.mark.parametrize("shape", [(8, 5), (1, 8, 5), (1, 0, 8), (0, 5, 8), (1, 1, 5, 8)])
def test_latents_of_another_shape_are_refused(shape):
    with pytest.raises(InvalidInputError, match="cannot be decoded"):
        vaes()[1].decode(torch.zeros(shape))


@pytest.mark.parametrize("shape", [(2, FRAME), (1, 1, FRAME), (1, 2, FRAME - 1), (0, 2, FRAME)])
def test_audio_of_another_shape_is_refused(shape):
    with pytest.raises(InvalidAudioError, match="cannot be encoded"):
        vaes()[1].encode(torch.zeros(shape))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_not_finite_is_refused(value):
    z, audio = latents(5), sound(5 * FRAME)
    z[0, 3, 2] = audio[0, 1, 7] = value
    with pytest.raises(InvalidInputError, match="NaN"):
        vaes()[1].decode(z)
    with pytest.raises(InvalidAudioError, match="NaN"):
        vaes()[1].encode(audio)
