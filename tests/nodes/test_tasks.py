"""Every task as a graph in a real ComfyUI, from words and sound to a file."""

from typing import NamedTuple

import pytest
import soundfile
import torch

SECONDS = 6.0
FRAMES = 150
TURBO, BASE = "acestep-v15-turbo", "acestep-v15-base"


class Song(NamedTuple):
    """The nodes that every graph of this file has."""

    load: object
    sampler: object
    save: object


@pytest.fixture
def recording(host):
    """A recording in ComfyUI's input folder."""
    path = host.base / "input" / "recording.flac"
    if not path.is_file():
        generator = torch.Generator().manual_seed(0)
        time = torch.arange(int(SECONDS * 48_000)) / 48_000
        wave = 0.3 * torch.sin(2 * torch.pi * 220 * time) + 0.02 * torch.randn(len(time), generator=generator)
        soundfile.write(path, torch.stack((wave, wave.roll(30)), 1).numpy(), 48_000)
    return path.name


def finished(graph, load, conditions, source, **sampling) -> Song:
    """Sampler, decoder and saver behind conditions and source."""
    sampler = graph.add(
        "AceGraphSampler",
        model=load["model"],
        conditions=conditions,
        source=source,
        **{"steps": 2, "guidance": 1.0, **sampling},
    )
    decode = graph.add("AceGraphOobleckDecode", vae=load["vae"], latent=sampler["latent"])
    save = graph.add(
        "AceGraphSaveAudio", audio=decode["audio"], conditions=conditions, filename_prefix="test/song"
    )
    return Song(load, sampler, save)


def opened(graph, model=TURBO):
    return graph.add("AceGraphLoad", model=model, weight_dtype="fp32")


def encode(graph, load, task="text2music", **fields):
    node = graph.add(
        "AceGraphEncodeConditions",
        text_encoder=load["text_encoder"],
        caption="slow piano",
        task=task,
        **fields,
    )
    return node["conditions"]


def heard(graph, load, recording):
    audio = graph.add("LoadAudio", audio=recording)
    latent = graph.add("AceGraphOobleckEncode", vae=load["vae"], audio=audio[0])
    return audio, latent["latent"]


def check_file(done, song, seconds=SECONDS, songs=1):
    assert done.success, done.error
    files = done.files(song.save)
    assert len(files) == songs
    for path in files:
        samples, rate = soundfile.read(path, always_2d=True)
        assert rate == 48_000
        assert samples.shape == (round(seconds * 48_000), 2)
        assert abs(samples).max() == pytest.approx(10 ** (-1 / 20), abs=1e-3)
    return files


def test_text2music(graph, run_graph):
    load = opened(graph)
    source = graph.add("AceGraphSilenceLatent", model=load["model"], seconds=SECONDS)
    song = finished(graph, load, encode(graph, load, lyrics="[Verse]\nla la"), source["latent"])
    check_file(run_graph(graph), song)


def test_a_batch_of_different_songs(graph, run_graph):
    load = opened(graph)
    both = graph.add(
        "AceGraphBatchConditions",
        first=encode(graph, load, bpm=80),
        second=encode(graph, load, bpm=170, instrumental=True, key="C major"),
    )
    source = graph.add("AceGraphSilenceLatent", model=load["model"], seconds=SECONDS, batch_size=2)
    song = finished(graph, load, both["conditions"], source["latent"])
    check_file(run_graph(graph), song, songs=2)


def test_an_item_of_a_batch_is_the_item_alone(host, run_graph):
    latents = []
    for seed, songs in ((5, 2), (6, 1)):
        graph = host.graph()
        load = opened(graph)
        source = graph.add("AceGraphSilenceLatent", model=load["model"], seconds=SECONDS, batch_size=songs)
        song = finished(graph, load, encode(graph, load), source["latent"], seed=seed)
        done = run_graph(graph)
        latents.append(done[song.sampler["latent"]]["samples"])
    assert (latents[0][1:] - latents[1]).abs().max() < 5e-4


def test_cover(graph, run_graph, recording):
    load = opened(graph)
    _, latent = heard(graph, load, recording)
    codes = graph.add("AceGraphAudioToCodes", model=load["model"], latent=latent)
    hints = graph.add("AceGraphCodesToLatent", model=load["model"], codes=codes["codes"])
    song = finished(graph, load, encode(graph, load, "cover", source=latent), hints["latent"])
    check_file(run_graph(graph), song)


def test_a_weak_cover_that_starts_from_the_recording(graph, run_graph, recording):
    load = opened(graph)
    _, latent = heard(graph, load, recording)
    codes = graph.add("AceGraphAudioToCodes", model=load["model"], latent=latent)
    hints = graph.add("AceGraphCodesToLatent", model=load["model"], codes=codes["codes"])
    song = finished(
        graph,
        load,
        encode(graph, load, "cover", source=latent),
        hints["latent"],
        second_conditions=encode(graph, load, source=latent),
        start_from=latent,
        cover_strength=0.5,
        noise_strength=0.3,
        steps=4,
    )
    check_file(run_graph(graph), song)


def test_cover_strength_zero_is_text2music(host, run_graph, recording):
    latents = []
    for task in ("cover", "text2music"):
        graph = host.graph()
        load = opened(graph)
        _, latent = heard(graph, load, recording)
        words = encode(graph, load, source=latent)
        if task == "cover":
            more = {"second_conditions": words, "cover_strength": 0.0}
            song = finished(graph, load, encode(graph, load, "cover", source=latent), latent, **more)
        else:
            source = graph.add("AceGraphSilenceLatent", model=load["model"], seconds=SECONDS)
            song = finished(graph, load, words, source["latent"])
        latents.append(run_graph(graph)[song.sampler["latent"]]["samples"])
    assert torch.equal(*latents)


def test_repaint_with_splice_keeps_every_sample_outside(graph, run_graph, recording):
    load = opened(graph)
    audio, latent = heard(graph, load, recording)
    mask = graph.add("AceGraphChunkMask", latent=latent, start=2.0, end=3.0)
    song = finished(graph, load, encode(graph, load, "repaint", source=latent), latent, mask=mask["mask"])
    decode = graph.add("AceGraphOobleckDecode", vae=load["vae"], latent=song.sampler["latent"])
    splice = graph.add("AceGraphSplice", new=decode["audio"], original=audio[0], mask=mask["mask"])
    graph.add("PreviewAudio", audio=splice["audio"])

    done = run_graph(graph)

    check_file(done, song)
    original, spliced = done[audio[0]]["waveform"], done[splice["audio"]]["waveform"]
    inside = slice(2 * 48_000, 3 * 48_000)
    assert torch.equal(spliced[..., : inside.start], original[..., : inside.start])
    assert torch.equal(spliced[..., inside.stop :], original[..., inside.stop :])
    assert not torch.equal(spliced[..., inside], original[..., inside])


def test_extend(graph, run_graph, recording):
    load = opened(graph)
    _, latent = heard(graph, load, recording)
    longer = graph.add("AceGraphExtend", model=load["model"], latent=latent, before=1.0, after=2.0)
    words = encode(graph, load, "extend", source=longer["latent"])
    song = finished(graph, load, words, longer["latent"], mask=longer["mask"])
    check_file(run_graph(graph), song, seconds=SECONDS + 3)


@pytest.mark.parametrize(
    ("task", "tracks"), [("extract", "vocals"), ("lego", "drums"), ("complete", "drums, Backing Vocals")]
)
def test_stems(graph, run_graph, recording, task, tracks):
    load = opened(graph, BASE)
    _, latent = heard(graph, load, recording)
    song = finished(
        graph, load, encode(graph, load, task, tracks=tracks, source=latent), latent, guidance=7.0
    )
    check_file(run_graph(graph), song)


def test_lego_in_a_region(graph, run_graph, recording):
    load = opened(graph, BASE)
    _, latent = heard(graph, load, recording)
    mask = graph.add("AceGraphChunkMask", latent=latent, start=1.0, end=4.0)
    song = finished(
        graph, load, encode(graph, load, "lego", tracks="drums", source=latent), latent, mask=mask["mask"]
    )
    check_file(run_graph(graph), song)


def test_reference_timbre_with_every_extra(graph, run_graph, recording):
    load = opened(graph, BASE)
    audio, _ = heard(graph, load, recording)
    timbre = graph.add("AceGraphReferenceTimbre", audio=audio[0], vae=load["vae"])
    extras = graph.add(
        "AceGraphSamplingExtras", norm_clamp=2.0, ema=0.2, wavelet="double", bf16_schedule=True
    )
    source = graph.add("AceGraphSilenceLatent", model=load["model"], seconds=SECONDS)
    retake = graph.add("AceGraphRetake", seed=1, retake_seed=2, variation=0.3)
    song = finished(
        graph,
        load,
        encode(graph, load, timbre=timbre["timbre"]),
        source["latent"],
        extras=extras["extras"],
        noise=retake["noise"],
        guidance=5.0,
        guidance_kind="adg",
        solver="heun",
    )
    check_file(run_graph(graph), song)


def test_a_custom_schedule(graph, run_graph):
    load = opened(graph)
    source = graph.add("AceGraphSilenceLatent", model=load["model"], seconds=SECONDS)
    scheduler = graph.add("KarrasScheduler", steps=4, sigma_max=1.0, sigma_min=0.1, rho=3.0)
    song = finished(graph, load, encode(graph, load), source["latent"], sigmas=scheduler[0])
    done = run_graph(graph)
    check_file(done, song)
    assert "4 steps" in done[song.sampler["report"]]


def test_the_same_prompt_twice_runs_nothing_and_a_new_seed_does_not_encode_again(host, run_graph):
    def built(seed, prefix="test/song"):
        graph = host.graph()
        load = opened(graph)
        source = graph.add("AceGraphSilenceLatent", model=load["model"], seconds=SECONDS)
        song = finished(graph, load, encode(graph, load), source["latent"], seed=seed)
        graph.change(song.save, filename_prefix=prefix)
        return graph, song

    first, song = built(1)
    run_graph(first)
    again = run_graph(built(1)[0])
    reseeded = run_graph(built(2)[0])
    renamed = run_graph(built(2, "test/other")[0])

    assert again.ran == () or set(again.ran) <= {song.save.id}
    assert set(reseeded.ran) == {song.sampler.id, str(int(song.sampler.id) + 1), song.save.id}
    assert set(renamed.ran) == {song.save.id}
