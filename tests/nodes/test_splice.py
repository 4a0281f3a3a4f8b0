"""Splice: the original's own samples outside of the mask."""

import pytest
import torch

FRAME = 1_920


def audio(frames=50, channels=2, rate=48_000, songs=1, seed=0, rest=0):
    generator = torch.Generator().manual_seed(seed)
    samples = torch.rand(songs, channels, frames * FRAME + rest, generator=generator) - 0.5
    return {"waveform": samples, "sample_rate": rate}


def mask(frames=50, start=20, stop=30):
    marked = torch.zeros(1, 1, frames)
    marked[..., start:stop] = 1
    return marked


@pytest.fixture
def splice(pack):
    def splice(new, original, marked, crossfade=0.025, offset=0.0):
        return pack.nodes.splice.Splice.execute(new, original, marked, crossfade, offset).result

    return splice


def test_outside_the_mask_the_original_s_samples_stand_bit_for_bit(splice):
    new, original = audio(seed=1), audio(seed=2)
    joined, report = splice(new, original, mask())
    song = joined["waveform"]
    assert joined["sample_rate"] == 48_000
    assert torch.equal(song[..., : 20 * FRAME], original["waveform"][..., : 20 * FRAME])
    assert torch.equal(song[..., 30 * FRAME :], original["waveform"][..., 30 * FRAME :])
    inner = slice(20 * FRAME + 1_200, 30 * FRAME - 1_200)
    assert torch.equal(song[..., inner], new["waveform"][..., inner])
    assert "0.40 s of 2.00 s are new" in report


def test_the_crossfade_is_the_sampler_s_default(pack):
    schema = pack.nodes.splice.Splice.define_schema()
    default = {item.id: getattr(item, "default", None) for item in schema.inputs}["crossfade"]
    assert default == pack.acestep_core.sampling.repaint.RepaintStrength().seam_seconds == 0.025


def test_loud_originals_are_not_clipped(splice):
    new, original = audio(seed=1), audio(seed=2)
    original["waveform"] *= 4
    joined, report = splice(new, original, mask())
    assert torch.equal(joined["waveform"][..., : 20 * FRAME], original["waveform"][..., : 20 * FRAME])
    assert "clipped" not in report


@pytest.mark.parametrize(
    ("original", "said"),
    [
        (audio(channels=1), "The original: mono put on both channels."),
        (audio(channels=6), "The original: first 2 of 6 channels kept."),
        (audio(rate=44_100, frames=45), "The original: resampled from 44100 to 48000 Hz."),
    ],
)
def test_another_rate_or_channel_count_is_converted_and_it_is_said(splice, original, said):
    joined, report = splice(audio(seed=1), original, mask())
    assert joined["waveform"].shape == (1, 2, 50 * FRAME)
    assert joined["waveform"].isfinite().all()
    assert said in report.splitlines()


def test_integer_samples_count_as_sound(splice):
    original = audio(seed=2)
    whole = (original["waveform"] * 2**15).to(torch.int16)
    joined, _ = splice(audio(seed=1), {"waveform": whole, "sample_rate": 48_000}, mask())
    assert torch.equal(joined["waveform"][..., : 20 * FRAME], (whole.float() / 2**15)[..., : 20 * FRAME])


def test_every_song_gets_its_own_mask_and_original(splice):
    new, originals = audio(songs=2, seed=1), audio(songs=2, seed=2)
    marks = torch.cat([mask(start=0, stop=10), mask(start=40, stop=50)])
    both = splice(new, originals, marks)[0]["waveform"]
    for song in range(2):
        one = [{**given, "waveform": given["waveform"][song : song + 1]} for given in (new, originals)]
        alone = splice(*one, marks[song : song + 1])[0]["waveform"]
        assert torch.equal(both[song : song + 1], alone)


def test_the_offset_places_the_original_after_an_extension(splice):
    new, original = audio(60, seed=1), audio(50, seed=2)
    joined, _ = splice(new, original, mask(60, 0, 10), offset=0.4)
    assert torch.equal(joined["waveform"][..., 10 * FRAME :], original["waveform"])


def test_nothing_that_came_in_is_changed(splice):
    new, original, marked = audio(seed=1), audio(seed=2), mask()
    before = new["waveform"].clone(), original["waveform"].clone(), marked.clone()
    splice(new, original, marked)
    assert torch.equal(new["waveform"], before[0])
    assert torch.equal(original["waveform"], before[1])
    assert torch.equal(marked, before[2])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"marked": mask(40, 10, 20)}, "The mask is for 1.6 s, the new song has 2 s."),
        ({"original": None}, "The original audio holds no sound."),
        ({"new": None}, "The new audio holds no sound."),
        ({"original": audio(frames=0)}, "The original audio has 0 samples."),
        ({"original": {"waveform": torch.full((1, 2, 9_600), torch.nan), "sample_rate": 48_000}}, "NaN"),
        ({"original": audio(songs=3)}, "1 new songs came with 3 originals"),
        ({"offset": 100.0}, "lies outside of the song"),
        ({"crossfade": -1.0}, "The crossfade is -1 s"),
    ],
)
def test_bad_input_gets_a_clear_sentence(pack, splice, change, said):
    given = {"new": audio(seed=1), "original": audio(seed=2), "marked": mask(), **change}
    with pytest.raises(pack.acestep_core.errors.AceStepError, match=said.replace("(", r"\(")):
        splice(**given)
