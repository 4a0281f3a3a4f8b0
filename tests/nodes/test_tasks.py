"""Every task as a graph in a real ComfyUI, from words and sound to a file."""

import pytest
import soundfile
import torch

from support.comfyui import task_graphs
from support.comfyui.task_graphs import BASE, SECONDS, encode, finished, heard, opened, silence


@pytest.fixture(autouse=True)
def recording(host):
    """A recording in ComfyUI's input folder."""
    return task_graphs.record(host.base / "input")


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
    song = task_graphs.text2music(graph)
    check_file(run_graph(graph), song)


@pytest.mark.parametrize("solver", ["ab2", "ab3"])
def test_a_solver_that_remembers_the_steps_before(graph, run_graph, solver):
    song = task_graphs.text2music(graph, solver=solver, steps=4)
    graph.add("PreviewAny", source=song.sampler["report"])
    done = run_graph(graph)
    check_file(done, song)
    assert f"({solver}, " in done[song.sampler["report"]]


def test_a_batch_of_different_songs(graph, run_graph):
    load = opened(graph)
    both = graph.add(
        "AceGraphBatchConditions",
        first=encode(graph, load, bpm=80),
        second=encode(graph, load, bpm=170, instrumental=True, key="C major"),
    )
    song = finished(graph, load, both["conditions"], silence(graph, load, songs=2))
    check_file(run_graph(graph), song, songs=2)


def test_an_item_of_a_batch_is_the_item_alone(host, run_graph):
    latents = []
    for seed, songs in ((5, 2), (6, 1)):
        graph = host.graph()
        load = opened(graph)
        song = finished(graph, load, encode(graph, load), silence(graph, load, songs), seed=seed)
        done = run_graph(graph)
        latents.append(done[song.sampler["latent"]]["samples"])
    assert (latents[0][1:] - latents[1]).abs().max() < 5e-4


def test_cover(graph, run_graph):
    song = task_graphs.cover(graph)
    check_file(run_graph(graph), song)


def test_a_weak_cover_that_starts_from_the_recording(graph, run_graph):
    load = opened(graph)
    _, latent = heard(graph, load)
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


def test_cover_strength_zero_is_text2music(host, run_graph):
    latents = []
    for task in ("cover", "text2music"):
        graph = host.graph()
        load = opened(graph)
        _, latent = heard(graph, load)
        words = encode(graph, load, source=latent)
        if task == "cover":
            more = {"second_conditions": words, "cover_strength": 0.0}
            song = finished(graph, load, encode(graph, load, "cover", source=latent), latent, **more)
        else:
            song = finished(graph, load, words, silence(graph, load))
        latents.append(run_graph(graph)[song.sampler["latent"]]["samples"])
    assert torch.equal(*latents)


def test_repaint_with_splice_keeps_every_sample_outside(graph, run_graph):
    load = opened(graph)
    audio, latent = heard(graph, load)
    mask = graph.add("AceGraphChunkMask", latent=latent, start=2.0, end=3.0)
    song = finished(graph, load, encode(graph, load, "repaint", source=latent), latent, mask=mask["mask"])
    splice = graph.add("AceGraphSplice", new=song.decode["audio"], original=audio[0], mask=mask["mask"])
    graph.add("PreviewAudio", audio=splice["audio"])

    done = run_graph(graph)

    check_file(done, song)
    original, spliced = done[audio[0]]["waveform"], done[splice["audio"]]["waveform"]
    inside = slice(2 * 48_000, 3 * 48_000)
    assert torch.equal(spliced[..., : inside.start], original[..., : inside.start])
    assert torch.equal(spliced[..., inside.stop :], original[..., inside.stop :])
    assert not torch.equal(spliced[..., inside], original[..., inside])


def test_extend(graph, run_graph):
    song = task_graphs.extend(graph)
    check_file(run_graph(graph), song, seconds=SECONDS + 3)


@pytest.mark.parametrize(
    ("task", "tracks"), [("extract", "vocals"), ("lego", "drums"), ("complete", "drums, Backing Vocals")]
)
def test_stems(graph, run_graph, task, tracks):
    load = opened(graph, BASE)
    _, latent = heard(graph, load)
    conditions = encode(graph, load, task, tracks=tracks, source=latent)
    song = finished(graph, load, conditions, latent, guidance=7.0)
    check_file(run_graph(graph), song)


def test_lego_in_a_region(graph, run_graph):
    load = opened(graph, BASE)
    _, latent = heard(graph, load)
    mask = graph.add("AceGraphChunkMask", latent=latent, start=1.0, end=4.0)
    conditions = encode(graph, load, "lego", tracks="drums", source=latent)
    song = finished(graph, load, conditions, latent, mask=mask["mask"])
    check_file(run_graph(graph), song)


def test_reference_timbre_with_every_extra(graph, run_graph):
    load = opened(graph, BASE)
    audio, _ = heard(graph, load)
    timbre = graph.add("AceGraphReferenceTimbre", audio=audio[0], vae=load["vae"])
    extras = graph.add(
        "AceGraphSamplingExtras", norm_clamp=2.0, ema=0.2, wavelet="double", bf16_schedule=True
    )
    retake = graph.add("AceGraphRetake", seed=1, retake_seed=2, variation=0.3)
    song = finished(
        graph,
        load,
        encode(graph, load, timbre=timbre["timbre"]),
        silence(graph, load),
        extras=extras["extras"],
        noise=retake["noise"],
        guidance=5.0,
        guidance_kind="adg",
        solver="heun",
    )
    check_file(run_graph(graph), song)


@pytest.mark.parametrize(
    ("task", "fields", "told"),
    [("text2music", {}, True), ("extract", {"tracks": "drums"}, True), ("lego", {"tracks": "bass"}, False)],
)
def test_a_mask_that_the_model_was_not_taught_is_told_of(graph, run_graph, task, fields, told):
    load = opened(graph, BASE)
    _, latent = heard(graph, load)
    mask = graph.add("AceGraphChunkMask", latent=latent, start=1.0, end=2.0)
    song = finished(graph, load, encode(graph, load, task, **fields), latent, mask=mask["mask"])
    done = run_graph(graph)
    assert done.success, done.error
    assert (f"was not taught for {task}" in done[song.sampler["report"]]) == told


def test_several_references_are_joined_with_latent_batch(graph, run_graph):
    load = opened(graph)
    audio, _ = heard(graph, load)
    one, other = (
        graph.add("AceGraphReferenceTimbre", audio=audio[0], vae=load["vae"], excerpt="random", seed=seed)[
            "timbre"
        ]
        for seed in (1, 2)
    )
    joined = graph.add("LatentBatch", samples1=one, samples2=other)[0]
    words = graph.add(
        "AceGraphEncodeConditions", text_encoder=load["text_encoder"], caption="slow piano", timbre=joined
    )
    song = finished(graph, load, words["conditions"], silence(graph, load))
    done = run_graph(graph)
    check_file(done, song)
    (condition,) = done[words["conditions"]]
    assert len(condition.enc) > 0


def test_a_song_of_zeros_among_others_counts_as_silence(pack):
    silence = pack.acestep_core.silence.Silence(torch.randn(1, 20, 64))
    song = torch.randn(1, 64, 20)
    joined = {"samples": torch.cat((song, torch.zeros_like(song)))}
    frames = pack.nodes.wires.tensors.source_of_latent(joined, "source", silence)
    assert torch.equal(frames, torch.cat((song.mT, silence.stored)))


def test_a_custom_schedule(graph, run_graph):
    load = opened(graph)
    scheduler = graph.add("KarrasScheduler", steps=4, sigma_max=1.0, sigma_min=0.1, rho=3.0)
    song = finished(graph, load, encode(graph, load), silence(graph, load), sigmas=scheduler[0])
    done = run_graph(graph)
    check_file(done, song)
    assert "4 steps" in done[song.sampler["report"]]


def test_the_same_prompt_twice_runs_nothing_and_a_new_seed_does_not_encode_again(host, run_graph):
    def built(seed, prefix="test/song"):
        graph = host.graph()
        song = task_graphs.text2music(graph, seed=seed)
        graph.change(song.save, filename_prefix=prefix)
        return graph, song

    first, song = built(1)
    run_graph(first)
    again = run_graph(built(1)[0])
    reseeded = run_graph(built(2)[0])
    renamed = run_graph(built(2, "test/other")[0])

    assert again.ran == () or set(again.ran) <= {song.save.id}
    assert set(reseeded.ran) == {song.sampler.id, song.decode.id, song.save.id}
    assert set(renamed.ran) == {song.save.id}
