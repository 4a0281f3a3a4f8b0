"""Oobleck Encode, Oobleck Decode and Reference Timbre, and ComfyUI's own audio nodes around them."""

import pytest
import soundfile
import torch

from support.comfyui import host as comfy_host
from support.comfyui.handles import core, tiny_handles

RATE = 48_000
PEAK = 1e-5  # tolerance of tiles, relative to the loudest value
NAN = float("nan")


@pytest.fixture(scope="module")
def handles(pack, models):
    return tiny_handles(pack, models)


@pytest.fixture
def vae(pack):
    return pack.nodes.vae


def audio(seconds=1.0, songs=1, channels=2, rate=RATE, seed=0):
    generator = torch.Generator().manual_seed(seed)
    waveform = torch.randn(songs, channels, round(seconds * rate), generator=generator) * 0.1
    return {"waveform": waveform.clamp(-1, 1), "sample_rate": rate}


def latent(frames=40, songs=1, seed=0):
    return {
        "samples": torch.randn(songs, 64, frames, generator=torch.Generator().manual_seed(seed)),
        "type": "audio",
    }


def same(one, other):
    return one.shape == other.shape and (one - other).abs().max() <= PEAK * other.abs().max()


def test_encoding_is_the_core_s_mean(vae, handles):
    given = audio(2.0, songs=2)
    before = given["waveform"].clone()
    out, report = vae.OobleckEncode.execute(handles.vae, given).result
    assert same(out["samples"].mT, handles.oobleck.encode(given["waveform"]).mean)
    assert torch.equal(given["waveform"], before)
    assert out["type"] == "audio"
    assert "Encoded 2 x 2 s" in report


def test_decoding_is_the_core_s_at_raw_level(vae, handles):
    given = latent(songs=2)
    before = given["samples"].clone()
    out, report = vae.OobleckDecode.execute(handles.vae, given).result
    assert same(out["waveform"], handles.oobleck.decode(given["samples"].mT))
    assert out["sample_rate"] == RATE
    assert out["waveform"].is_contiguous()
    assert torch.equal(given["samples"], before)
    assert "Decoded 2 x 1.6 s" in report


@pytest.mark.parametrize("tile", ["32", "64"])
def test_the_tile_size_does_not_show(vae, handles, tile):
    whole = vae.OobleckDecode.execute(handles.vae, latent(70), "256")[0]["waveform"]
    tiled, report = vae.OobleckDecode.execute(handles.vae, latent(70), tile).result
    assert same(tiled["waveform"], whole)
    assert f"Tiles of {tile} frames" in report


def test_a_sampled_song_does_not_depend_on_its_neighbours(vae, handles):
    batch = audio(0.4, songs=3)
    third = {**batch, "waveform": batch["waveform"][2:]}
    many = vae.OobleckEncode.execute(handles.vae, batch, sample=True, seed=5)[0]["samples"]
    alone = vae.OobleckEncode.execute(handles.vae, third, sample=True, seed=7)[0]["samples"]
    mean = vae.OobleckEncode.execute(handles.vae, batch)[0]["samples"]
    assert torch.equal(many[2:], alone)
    assert not torch.equal(many, mean)


def test_what_was_converted_and_left_out_is_said(vae, handles):
    out, report = vae.OobleckEncode.execute(handles.vae, audio(1.01, channels=1, rate=44_100)).result
    assert out["samples"].shape == (1, 64, 25)
    for words in ("Mono put on both channels.", "Resampled from 44100 to 48000 Hz.", "make no whole frame"):
        assert words in report


def test_an_empty_latent_of_comfyui_decodes_to_silence(vae, handles):
    from comfy_extras.nodes_audio import EmptyLatentAudio

    empty = EmptyLatentAudio().generate(1.0, 2)[0]
    out, report = vae.OobleckDecode.execute(handles.vae, empty).result
    assert out["waveform"].shape == (2, 2, 1920 * empty["samples"].shape[-1])
    assert not out["waveform"].any()
    assert "zeros only" in report


def test_auto_takes_the_largest_tile_that_fits(vae, handles, monkeypatch):
    small = vae.activation_bytes(64, handles.oobleck.config, torch.float32, handles.vae.vae.device)
    monkeypatch.setattr(vae, "free_bytes", lambda device: small)
    assert "Tiles of 64 frames" in vae.OobleckDecode.execute(handles.vae, latent())[1]
    monkeypatch.setattr(vae, "free_bytes", lambda device: 0)
    assert "Tiles of 32 frames" in vae.OobleckEncode.execute(handles.vae, audio())[1]


def test_a_tile_that_does_not_fit_after_all_gives_way_to_a_smaller_one(vae, handles, monkeypatch):
    def short_of_memory(oobleck, frames, tile, listener):
        if tile > 64:
            raise torch.OutOfMemoryError("too large")
        return decode(oobleck, frames, tile, listener)

    decode = vae.decode_tiled
    wanted = vae.OobleckDecode.execute(handles.vae, latent(), "64")[0]["waveform"]
    monkeypatch.setattr(vae, "decode_tiled", short_of_memory)
    out, report = vae.OobleckDecode.execute(handles.vae, latent(), "256").result
    assert torch.equal(out["waveform"], wanted)
    assert "too short for tiles of 256 frames. Tiles of 64 frames." in report


def test_when_no_tile_fits_comfyui_is_told(vae, handles):
    tried = []

    def never(oobleck, tile):
        tried.append(tile)
        raise torch.OutOfMemoryError

    with pytest.raises(torch.OutOfMemoryError, match=r"The VAE .* do not fit .*\n.*--cpu-vae"):
        vae.in_tiles(handles.vae, "64", never)
    assert tried == [64, 32]


def test_every_tile_moves_the_bar_and_stop_takes_effect_at_the_next(host, vae, handles):
    import comfy.model_management as mm

    seen = []

    def stopping(move):
        seen.append((move.value, move.total))
        mm.interrupt_current_processing(len(seen) == 2)

    try:
        with comfy_host.progress_bars(host, stopping), pytest.raises(mm.InterruptProcessingException):
            vae.OobleckDecode.execute(handles.vae, latent(128), "32")
    finally:
        mm.interrupt_current_processing(False)
    assert seen == [(1, 4), (2, 4)]
    again = vae.OobleckDecode.execute(handles.vae, latent(128), "32")[0]["waveform"]
    assert same(again, handles.oobleck.decode(latent(128)["samples"].mT))


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (None, "holds no sound"),
        ({"waveform": None, "sample_rate": RATE}, "holds no sound"),
        ({"waveform": torch.zeros(1, 2, 0), "sample_rate": RATE}, "0 samples"),
        ({"waveform": torch.zeros(0, 2, 9), "sample_rate": RATE}, "0 samples"),
        (
            {"waveform": torch.zeros(1, 2, 1919), "sample_rate": RATE},
            "lasts 0.040 s, less than one latent frame",
        ),
        ({"waveform": torch.full((1, 2, 4800), NAN), "sample_rate": RATE}, "NaN"),
        (
            {"waveform": torch.zeros(1, 1, 1).expand(1, 2, 660 * RATE), "sample_rate": RATE},
            "lasts 660 s, and the model",
        ),
    ],
)
def test_audio_that_cannot_be_encoded_says_why(pack, vae, handles, given, problem):
    with pytest.raises(core(pack, "errors").AceStepError, match=problem):
        vae.OobleckEncode.execute(handles.vae, given)


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"samples": torch.ones(1, 4, 64, 64)}, r"shape \[1, 4, 64, 64\]"),
        ({"samples": torch.ones(1, 8, 16, 100)}, "not one of an image or another model"),
        ({"samples": torch.full((1, 64, 4), NAN)}, "NaN"),
        ({"samples": torch.ones(1, 64, 0)}, "empty"),
    ],
)
def test_a_latent_that_cannot_be_decoded_says_why(pack, vae, handles, given, problem):
    with pytest.raises(core(pack, "errors").AceStepError, match=problem):
        vae.OobleckDecode.execute(handles.vae, given)


def test_a_choice_that_no_longer_exists_is_refused(pack, vae, handles):
    error = core(pack, "errors").InvalidInputError
    with pytest.raises(error, match="no tile '512'"):
        vae.OobleckDecode.execute(handles.vae, latent(), "512")
    with pytest.raises(error, match="no tile"):
        vae.OobleckEncode.execute(handles.vae, audio(), tile="huge")
    with pytest.raises(error, match="no excerpt 'middle'"):
        vae.ReferenceTimbre.execute(handles.vae, audio(), "middle")


@pytest.mark.parametrize(("excerpt", "seed"), [("even", None), ("random", 3)])
def test_a_timbre_is_the_core_s_excerpt_encoded(pack, vae, handles, excerpt, seed):
    given = audio(40.0)
    out, report = vae.ReferenceTimbre.execute(handles.vae, given, excerpt, 3).result
    pieces = core(pack, "sound.reference_audio").timbre_excerpt(given["waveform"], seed)
    assert same(out["samples"].mT, handles.oobleck.encode(pieces).mean)
    assert ("seed 3" in report) == (excerpt == "random")


def test_recordings_of_one_batch_are_several_references(vae, handles):
    out, report = vae.ReferenceTimbre.execute(handles.vae, audio(2.0, songs=2)).result
    assert out["samples"].shape == (2, 64, 750)
    assert "References: 2" in report


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (None, "audio holds no sound"),
        ({"waveform": torch.zeros(1, 2, 0), "sample_rate": RATE}, "0 samples"),
        ({"waveform": torch.zeros(1, 2, RATE), "sample_rate": RATE}, "is silent"),
        (
            {"waveform": torch.tensor([1.0, 0.0])[:, None, None].expand(2, 2, RATE), "sample_rate": RATE},
            "Reference 2 of 2",
        ),
    ],
)
def test_a_reference_that_tells_nothing_is_refused(pack, vae, handles, given, problem):
    with pytest.raises(core(pack, "errors").InvalidAudioError, match=problem):
        vae.ReferenceTimbre.execute(handles.vae, given)


def test_load_audio_of_comfyui_can_be_encoded(vae, handles, tmp_path):
    import folder_paths
    from comfy_extras.nodes_audio import LoadAudio

    folder = folder_paths.get_input_directory()
    name = f"{tmp_path.name}.wav"
    sound = audio(0.5)["waveform"][0]
    soundfile.write(f"{folder}/{name}", sound.T.numpy(), RATE, subtype="FLOAT")
    loaded = LoadAudio().load(name)[0]
    out = vae.OobleckEncode.execute(handles.vae, loaded)[0]
    assert same(out["samples"].mT, handles.oobleck.encode(sound[None]).mean)


def test_trim_audio_duration_of_comfyui_cuts_what_was_decoded(vae, handles):
    from comfy_extras.nodes_audio import TrimAudioDuration

    whole = vae.OobleckDecode.execute(handles.vae, latent())[0]
    part = TrimAudioDuration().trim(whole, 0.4, 0.8)[0]
    assert torch.equal(part["waveform"], whole["waveform"][..., 19_200:57_600])
    assert vae.OobleckEncode.execute(handles.vae, part)[0]["samples"].shape == (1, 64, 20)


def test_empty_and_joined_audio_of_comfyui_can_be_encoded(vae, handles):
    from comfy_extras.nodes_audio import AudioConcat, EmptyAudio

    empty = EmptyAudio().create_empty_audio(0.4, RATE, 2)[0]
    joined = AudioConcat().concat(empty, audio(0.4), "after")[0]
    assert vae.OobleckEncode.execute(handles.vae, joined)[0]["samples"].shape == (1, 64, 20)


def test_a_song_of_zeros_among_others_is_silence_and_changes_nothing_of_them(vae, handles):
    song = latent()["samples"]
    joined = {"samples": torch.cat((song, torch.zeros_like(song[:1])))}
    alone = vae.OobleckDecode.execute(handles.vae, {"samples": song})[0]["waveform"]
    out, report = vae.OobleckDecode.execute(handles.vae, joined).result
    assert torch.equal(out["waveform"][: len(song)], alone)
    assert not out["waveform"][len(song) :].any()
    assert "zeros only" in report


def test_memory_may_run_out_without_an_exception_of_its_own(vae, handles):
    def full(oobleck, tile):
        raise RuntimeError("MPS backend out of memory (MPS allocated: 8 GB)")

    def broken(oobleck, tile):
        raise RuntimeError("another fault")

    with pytest.raises(torch.OutOfMemoryError, match="do not fit"):
        vae.in_tiles(handles.vae, "64", full)
    with pytest.raises(RuntimeError, match="another fault"):
        vae.in_tiles(handles.vae, "64", broken)
