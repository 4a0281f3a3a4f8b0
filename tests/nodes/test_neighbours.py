"""ComfyUI's own nodes before, between and behind ours, in whole graphs."""

import pytest
import soundfile
import torch

from support.comfyui import task_graphs
from support.comfyui.task_graphs import SECONDS, encode, finished, heard, opened, silence
from support.comfyui.trial import CODES_FILE

FRAMES, RATE = round(SECONDS * 25), 48_000


@pytest.fixture(autouse=True)
def recording(host):
    return task_graphs.record(host.base / "input")


def played(run_graph, graph):
    done = run_graph(graph)
    assert done.success, done.error or done.refused
    return done


def test_load_audio_trimmed_covers_itself_into_comfyui_s_preview_and_savers(graph, run_graph):
    load = opened(graph)
    audio = graph.add("LoadAudio", audio=task_graphs.RECORDING)
    part = graph.add("TrimAudioDuration", audio=audio[0], start_index=1.0, duration=4.0)
    latent = graph.add("AceGraphOobleckEncode", vae=load["vae"], audio=part[0])["latent"]
    song = finished(graph, load, encode(graph, load, "cover", source=latent), latent)
    shown = [
        graph.add(kind, audio=song.decode["audio"])
        for kind in ("PreviewAudio", "SaveAudio", "SaveAudioMP3", "SaveAudioOpus")
    ]
    done = played(run_graph, graph)
    assert done[song.decode["audio"]]["waveform"].shape == (1, 2, 4 * RATE)
    for node in shown:
        (path,) = done.files(node)
        assert path.stat().st_size > 1000
    samples, rate = soundfile.read(done.files(shown[1])[0], always_2d=True)
    assert (samples.shape, rate) == ((4 * RATE, 2), RATE)


def test_our_audio_goes_through_comfyui_s_audio_nodes_and_back(graph, run_graph):
    load = opened(graph)
    song = finished(graph, load, encode(graph, load), silence(graph, load))
    empty = graph.add("EmptyAudio", duration=1.0, sample_rate=RATE, channels=2)
    joined = graph.add("AudioConcat", audio1=empty[0], audio2=song.decode["audio"])
    quiet = graph.add("AudioAdjustVolume", audio=joined[0], volume=-6)
    again = graph.add("AceGraphOobleckEncode", vae=load["vae"], audio=quiet[0])
    graph.add("AceGraphPreviewAudio", audio=quiet[0])
    graph.add("PreviewAny", source=again["report"])
    done = played(run_graph, graph)
    assert done[again["latent"]]["samples"].shape == (1, 64, FRAMES + 25)


def test_save_latent_and_load_latent_in_between_change_no_sample(host, run_graph, graph):
    load = opened(graph)
    song = finished(graph, load, encode(graph, load), silence(graph, load, songs=2))
    saved = graph.add("SaveLatent", samples=song.sampler["latent"], filename_prefix="kept/song")
    first = played(run_graph, graph)
    (entry,) = first.ui[saved.id]["latents"]
    kept = host.base / "output" / entry["subfolder"] / entry["filename"]
    kept.rename(host.base / "input" / "kept.latent")

    again = host.graph()
    load = opened(again)
    latent = again.add("LoadLatent", latent="kept.latent")
    decode = again.add("AceGraphOobleckDecode", vae=load["vae"], latent=latent[0])
    again.add("PreviewAudio", audio=decode["audio"])
    second = played(run_graph, again)
    assert torch.equal(first[song.decode["audio"]]["waveform"], second[decode["audio"]]["waveform"])


def test_invert_mask_repaints_everything_else(graph, run_graph):
    load = opened(graph)
    _, latent = heard(graph, load)
    span = graph.add("AceGraphChunkMask", latent=latent, start=1.0, end=5.0)
    others = graph.add("InvertMask", mask=span["mask"])
    words = encode(graph, load, "repaint", source=latent)
    song = finished(graph, load, words, latent, mask=others[0], repaint_strength=0.0)
    done = played(run_graph, graph)
    new, old = done[song.sampler["latent"]]["samples"], done[latent]["samples"]
    kept = slice(2 * 25, 4 * 25)  # a seam of a second on either side of it
    assert torch.equal(new[..., kept], old[..., kept])
    assert not torch.isclose(new[..., :25], old[..., :25]).all(1).any()


def test_mask_composite_repaints_two_spans_and_splice_keeps_the_rest(graph, run_graph):
    load = opened(graph)
    audio, latent = heard(graph, load)
    spans = [
        graph.add("AceGraphChunkMask", latent=latent, start=start, end=start + 1) for start in (1.0, 4.0)
    ]
    both = graph.add("MaskComposite", destination=spans[0]["mask"], source=spans[1]["mask"], operation="or")
    song = finished(graph, load, encode(graph, load, "repaint", source=latent), latent, mask=both[0])
    splice = graph.add("AceGraphSplice", new=song.decode["audio"], original=audio[0], mask=both[0])
    graph.add("PreviewAudio", audio=splice["audio"])
    done = played(run_graph, graph)
    same = (done[splice["audio"]]["waveform"] == done[audio[0]]["waveform"]).all(1)[0]
    outside = torch.ones(round(SECONDS * RATE), dtype=torch.bool)
    for start in (1, 4):
        outside[start * RATE : (start + 1) * RATE] = False
    assert same[outside].all()
    assert same[~outside].float().mean() < 0.05


UNSUNG = (
    ("AceGraphLyricTimes", 1),
    ("AceGraphSaveLyrics", 0),
)  # texts of times, where nobody is heard to sing


@pytest.mark.slow
def test_preview_any_shows_every_output_of_every_node(host, graph, run_graph, trial):
    nodes = task_graphs.everything(graph, CODES_FILE)
    outputs = [(kind, slot) for kind in nodes for slot in range(len(host.info(kind)["output_name"]))]
    shown = [(kind, slot, graph.add("PreviewAny", source=[nodes[kind].id, slot])) for kind, slot in outputs]
    done = played(run_graph, graph)
    for kind, slot, node in shown:
        (text,) = done.ui[node.id]["text"]
        assert text.strip() or (kind, slot) in UNSUNG, (kind, slot)
        assert len(text) < 20_000, (kind, slot)


def test_an_empty_latent_of_comfyui_is_a_source(host, run_graph):
    sounds = []
    for maker in ("EmptyLatentAudio", "AceGraphSilenceLatent"):
        graph = host.graph()
        load = opened(graph)
        if maker == "EmptyLatentAudio":
            source = graph.add(maker, seconds=SECONDS)[0]
        else:
            frames = sounds[0].shape[-1]
            source = silence(graph, load, seconds=frames / 25)
        song = finished(graph, load, encode(graph, load, duration=6.0), source)
        sounds.append(played(run_graph, graph)[song.sampler["latent"]]["samples"])
    assert torch.equal(*sounds)


def test_a_song_picked_from_a_batch_by_comfyui_is_that_song(graph, run_graph):
    load = opened(graph)
    words = encode(graph, load)
    batch = silence(graph, load, songs=3)
    picked = graph.add("LatentFromBatch", samples=batch, batch_index=1, length=2)
    whole = finished(graph, load, words, batch, seed=9)
    part = finished(graph, load, words, picked[0], seed=9)
    done = played(run_graph, graph)
    songs, pair = (done[song.sampler["latent"]]["samples"] for song in (whole, part))
    assert (songs[1:] - pair).abs().max() < 5e-4
    assert done[part.sampler["latent"]]["batch_index"] == [1, 2]


def test_repeated_and_joined_latents_of_comfyui_are_batches(graph, run_graph):
    load = opened(graph)
    _, latent = heard(graph, load)
    repeated = graph.add("RepeatLatentBatch", samples=latent, amount=2)
    joined = graph.add("LatentBatch", samples1=repeated[0], samples2=latent)
    song = finished(graph, load, encode(graph, load, "cover"), joined[0])
    done = played(run_graph, graph)
    assert done[song.decode["audio"]]["waveform"].shape[0] == len(done.files(song.save)) == 3


def test_the_times_of_a_scheduler_of_comfyui_are_the_sampler_s(graph, run_graph):
    load = opened(graph)
    words, source = encode(graph, load), silence(graph, load)
    times = graph.add("KarrasScheduler", steps=4, sigma_max=1.0, sigma_min=0.2, rho=3.0)
    song = finished(graph, load, words, source, sigmas=times[0])
    done = played(run_graph, graph)
    assert "4 steps (euler, custom times from 1)" in done[song.sampler["report"]]
    assert done[times[0]][0] == 1


def test_a_noise_mask_of_comfyui_serves_as_the_mask(host, run_graph):
    latents = []
    for carried in (True, False):
        graph = host.graph()
        load = opened(graph)
        _, latent = heard(graph, load)
        mask = graph.add("AceGraphChunkMask", latent=latent, start=2.0, end=3.0)
        words = encode(graph, load, "repaint", source=latent)
        if carried:
            source = graph.add("SetLatentNoiseMask", samples=latent, mask=mask["mask"])[0]
            song = finished(graph, load, words, source)
        else:
            song = finished(graph, load, words, latent, mask=mask["mask"])
        latents.append(played(run_graph, graph)[song.sampler["latent"]]["samples"])
    assert torch.equal(*latents)


def test_a_drawn_mask_of_an_image_says_where_to_repaint(graph, run_graph):
    load = opened(graph)
    _, latent = heard(graph, load)
    black = graph.add("SolidMask", value=0.0, width=600, height=64)
    white = graph.add("SolidMask", value=1.0, width=100, height=64)
    drawn = graph.add("MaskComposite", destination=black[0], source=white[0], x=200, operation="add")
    mask = graph.add("AceGraphChunkMask", latent=latent, mask=drawn[0])
    song = finished(graph, load, encode(graph, load, "repaint", source=latent), latent, mask=mask["mask"])
    done = played(run_graph, graph)
    assert done[mask["mask"]][0, 0].nonzero().flatten().tolist() == list(range(50, 75))
    assert done.files(song.save)


def test_numbers_and_texts_come_by_wire_from_comfyui_s_primitives(graph, run_graph):
    load = opened(graph)
    words = graph.add("PrimitiveStringMultiline", value="a quiet harp")
    length, songs = graph.add("PrimitiveFloat", value=2.0), graph.add("PrimitiveInt", value=2)
    source = graph.add("AceGraphSilenceLatent", model=load["model"], seconds=length[0], batch_size=songs[0])
    song = finished(graph, load, encode(graph, load, caption=words[0]), source["latent"])
    done = played(run_graph, graph)
    assert done[song.decode["audio"]]["waveform"].shape == (2, 2, 2 * RATE)
