"""Region: the mask of Chunk Mask, and what the browser draws and plays."""

import struct
from pathlib import Path

import pytest
import torch

from support.comfyui.handles import core

RATE = 48_000


@pytest.fixture
def region(pack):
    return pack.nodes.analysis.region


@pytest.fixture
def temp(host):
    return Path(host.module("folder_paths").get_temp_directory())


def sound(seconds=4.0, rate=RATE, channels=2, songs=1, seed=0):
    noise = torch.rand(songs, channels, int(seconds * rate), generator=torch.Generator().manual_seed(seed))
    return {"waveform": noise - 0.5, "sample_rate": rate}


def run(region, audio, start=1.0, end=2.0, fade=0.0, bpm=0.0, **more):
    return region.Region.execute(audio, start, end, fade, bpm, **more)


@pytest.mark.parametrize("rate", [RATE, 44_100, 22_050])
@pytest.mark.parametrize("given", [{}, {"fade": 0.4}, {"end": -1.0}, {"regions": "0.4-1, 2-3"}])
def test_the_mask_is_that_of_chunk_mask_after_oobleck_encode(pack, region, rate, given):
    audio = sound(4.013, rate)
    encoded = pack.nodes.wires.tensors.sound_of_audio(audio)[0].shape[-1] // 1920
    latent = {"samples": torch.zeros(1, 64, encoded)}
    given = {"start": 1.0, "end": 2.0, "fade": 0.0, **given}
    assert torch.equal(
        run(region, audio, **given)[1], pack.nodes.latents.ChunkMask.execute(latent, **given)[0]
    )


def test_the_audio_goes_through_as_it_came(region):
    audio = {**sound(), "acegraph_takes": [{"seed": "1"}]}
    before = audio["waveform"].clone()
    out = run(region, audio)[0]
    assert out is audio
    assert torch.equal(out["waveform"], before)


def test_what_is_shown_lies_in_files_that_hold_it(pack, region, temp):
    audio = sound(songs=2)
    (first, second) = run(region, audio).ui["acegraph_wave"]
    assert (first["seconds"], first["rate"], first["channels"], first["sections"]) == (4.0, RATE, 2, [])
    assert first["fingerprint"] != second["fingerprint"]
    wave = (temp / first["wave"]["filename"]).read_bytes()
    assert wave == core(pack, "sound.peaks").peaks_of(audio["waveform"][0], RATE)
    assert struct.unpack("<4sHHII", wave[:16]) == (b"AGPK", 1, 1, 100, 400)
    heard = core(pack, "sound.audio_file").read_audio(temp / second["sound"]["filename"])
    assert heard.sample_rate == RATE
    assert torch.allclose(heard.samples, audio["waveform"][1], atol=2**-15)


def test_the_same_samples_are_written_once(region, temp):
    names = [
        run(region, sound(seed=5), start=start).ui["acegraph_wave"][0]["sound"]["filename"]
        for start in (1.0, 0.5)
    ]
    assert names[0] == names[1]
    path = temp / names[0]
    before = path.stat().st_mtime_ns
    run(region, sound(seed=5))
    assert path.stat().st_mtime_ns == before
    assert run(region, sound(seed=6)).ui["acegraph_wave"][0]["sound"]["filename"] != names[0]


def test_a_long_song_is_played_from_a_small_copy(region, temp, monkeypatch):
    monkeypatch.setattr(region, "LONG_SECONDS", 3)
    (entry,) = run(region, sound(rate=44_100, channels=6)).ui["acegraph_wave"]
    assert entry["sound"]["filename"].endswith(".opus")
    assert (temp / entry["sound"]["filename"]).stat().st_size < 100_000


def test_a_song_above_full_scale_is_drawn_and_played_without_clipping(pack, region, temp):
    loud = sound()
    loud["waveform"] *= 6
    (entry,) = run(region, loud).ui["acegraph_wave"]
    heard = core(pack, "sound.audio_file").read_audio(temp / entry["sound"]["filename"]).samples
    assert torch.allclose(heard, loud["waveform"][0] / loud["waveform"].abs().max(), atol=2**-14)


def test_beats_are_those_that_were_set_or_else_heard(region):
    clicks = torch.zeros(1, 1, 12 * RATE)
    for beat in range(24):
        clicks[0, 0, beat * RATE // 2 : beat * RATE // 2 + 400] = torch.rand(400) - 0.5
    audio = {"waveform": clicks, "sample_rate": RATE}
    estimated = run(region, audio)
    (beats,) = (entry["beats"] for entry in estimated.ui["acegraph_wave"])
    assert beats["estimated"]
    assert beats["bpm"] == pytest.approx(120, abs=0.5)
    assert "about 120.0 bpm, estimated" in estimated[2]
    (beats,) = (entry["beats"] for entry in run(region, audio, bpm=60.0).ui["acegraph_wave"])
    assert (beats["bpm"], beats["estimated"]) == (60.0, False)
    (beats,) = (entry["beats"] for entry in run(region, sound()).ui["acegraph_wave"])
    assert beats is None
    assert "No clear tempo" in run(region, sound())[2]


def test_the_report_tells_what_counts(region):
    assert "Marked: 1.00-2.00 s, 1.00 of 4.00 s." in run(region, sound())[2]
    several = run(region, sound(), regions="0.40-1.00, 2.00-3.00")[2]
    assert "Marked: 0.40-1.00 s, 2.00-3.00 s, 1.60 of 4.00 s." in several
    assert "start and end are not used" in several


def part(region, audio, **given):
    return run(region, audio, **given)[3]


@pytest.mark.parametrize("rate", [RATE, 44_100, 22_050, 37_999])
@pytest.mark.parametrize("given", [{"end": -1.0}, {"end": 4.0}, {"end": 600.0}, {"regions": "0-1, 3-9"}])
def test_the_part_of_everything_is_the_audio_as_it_came(region, rate, given):
    audio = sound(4.013, rate)  # the last frame is not whole
    assert part(region, audio, start=0.0, **({"end": 1.0} | given)) is audio


@pytest.mark.parametrize(("rate", "channels"), [(RATE, 2), (44_100, 1), (22_050, 6), (8_000, 1)])
def test_the_part_reaches_from_the_first_start_to_the_last_end_to_the_sample(region, rate, channels):
    audio = sound(4.013, rate, channels, songs=3)
    before, frame = audio["waveform"].clone(), rate // 25
    for given, frames in (
        ({"start": 1.0, "end": 2.0}, (25, 50)),
        ({"start": 1.01, "end": 2.03}, (25, 50)),  # inside of frames
        ({"regions": "0.40-1.00, 2.00-3.04"}, (10, 76)),
    ):
        cut = part(region, audio, **given)
        assert cut["sample_rate"] == rate
        assert torch.equal(cut["waveform"], before[..., slice(*(frame * at for at in frames))])
    for given in ({"start": 1.0, "end": -1.0}, {"start": 1.0, "end": 4.0}, {"regions": "1-2, 3-70"}):
        assert torch.equal(part(region, audio, **given)["waveform"], before[..., 25 * frame :])
    assert torch.equal(audio["waveform"], before)


def test_the_part_of_a_song_without_a_batch_and_what_goes_along(region):
    audio = {"waveform": sound()["waveform"][0], "sample_rate": RATE, "acegraph_takes": [{"seed": "1"}]}
    cut = part(region, audio, start=0.0, end=3.0)
    assert torch.equal(cut["waveform"], audio["waveform"][:, : 3 * RATE])
    assert cut["acegraph_takes"] == [{"seed": "1"}]


@pytest.mark.parametrize("rate", [1_001, 37_999, 44_101])
def test_at_odd_rates_the_part_has_as_many_frames_as_the_mask(pack, region, rate):
    audio = sound(4.013, rate)
    _, mask, _, cut = run(region, audio, start=0.52, end=3.0)
    encoded = pack.nodes.wires.tensors.sound_of_audio(cut)[0].shape[-1] / 1920
    assert encoded == pytest.approx(float(mask.sum()), abs=25 / rate)


def test_every_value_of_its_ui_is_a_list(region):
    """Or ComfyUI could not join those of several runs of the node."""
    assert all(isinstance(value, list) for value in run(region, sound()).ui.values())


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"start": 5.0, "end": -1.0}, "begins at 5 s, and the song ends at 4 s"),
        ({"regions": "9-10"}, "regions begin at 9 s"),
        ({"regions": "chorus"}, "'chorus' is no region"),
        ({"bpm": 1000.0}, "bpm is 1000"),
        ({"audio": {"waveform": torch.zeros(1, 2, 100), "sample_rate": RATE}}, "less than one latent frame"),
        ({"audio": {"waveform": torch.zeros(1, 1, 601_000), "sample_rate": 1_000}}, "plays up to 600 s"),
        ({"audio": {}}, "holds no sound"),
    ],
)
def test_what_is_wrong_is_said(pack, region, given, problem):
    with pytest.raises(core(pack, "errors").AceStepError, match=problem):
        run(region, **{"audio": sound(), **given})


def test_a_line_that_is_none_is_refused_before_anything_runs(region):
    assert region.Region.validate_inputs(start=0.0, end=-1.0, regions="1-2") is True
    assert "is no region" in region.Region.validate_inputs(start=0.0, end=-1.0, regions="x")
    assert "is empty" in region.Region.validate_inputs(start=2.0, end=1.0)


def test_a_graph_repaints_what_the_region_marks(host, graph, run_graph):
    noise = graph.add("EmptyAudio", duration=6.0)
    chosen = graph.add("AceGraphRegion", audio=noise["AUDIO"], start=0.0, end=-1.0, regions="1-2, 3-4")
    done = run_graph(graph)
    (shown,) = (ui for ui in done.ui.values() if "acegraph_wave" in ui)
    assert shown["acegraph_wave"][0]["seconds"] == 6.0
    assert chosen
