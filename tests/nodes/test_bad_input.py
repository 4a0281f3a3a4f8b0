"""Bad input of every kind is said in the node where it shows, and the next run works."""

import pytest
import torch

from support.comfyui import task_graphs
from support.comfyui.graphs import Node
from support.comfyui.task_graphs import SECONDS, encode, finished, heard, opened, silence
from support.comfyui.trial import given

FRAMES = round(SECONDS * 25)
RATE = 48_000
NAN = float("nan")


def node_of(link):
    return Node(link[0], ())


# --------------------------------------------------------------------------------------------- sound and latents
@pytest.mark.parametrize("maker", ["EmptyLatentImage", "EmptySD3LatentImage"])
def test_the_empty_latent_of_an_image_as_comfyui_makes_it(trial, graph, maker):
    load = opened(graph)
    image = graph.add(maker, width=512, height=512)
    song = finished(graph, load, encode(graph, load), image[0])
    words = trial.refuses(graph, song.sampler, r"shape \[1, (4|16), 64, 64\]")
    assert "not one of an image" in words


def test_a_video_without_sound_is_said(trial, graph):
    load = opened(graph)
    node = graph.add("AceGraphOobleckEncode", vae=load["vae"], audio=given(graph, None))
    graph.add("PreviewAny", source=node["report"])
    assert "video without sound" in trial.refuses(graph, node, "holds no sound")


def test_eleven_minutes_are_too_long_for_every_node_that_plays_them(trial, graph):
    load = opened(graph)
    sound = {"waveform": torch.full((1, 1, 1), 0.1).expand(1, 2, 660 * RATE), "sample_rate": RATE}
    latent = {"samples": torch.full((1, 1, 1), 0.1).expand(1, 64, 660 * 25)}
    wires = {"audio": given(graph, sound), "latent": given(graph, latent)}
    encoded = graph.add("AceGraphOobleckEncode", vae=load["vae"], audio=wires["audio"])
    heard = graph.add("AceGraphAudioToCodes", model=load["model"], latent=wires["latent"])
    longer = graph.add(
        "AceGraphExtend", model=load["model"], latent=silence(graph, load, 1, 599.0), after=60.0
    )
    song = finished(graph, load, encode(graph, load), wires["latent"])
    for node, output in ((encoded, "latent"), (heard, "codes"), (longer, "latent"), (song.sampler, "latent")):
        alone = {key: entry for key, entry in graph.prompt.items() if int(key) <= int(node.id)}
        shown = {"class_type": "PreviewAny", "inputs": {"source": node[output]}}
        words = trial.refuses({**alone, "99": shown}, node, r"lasts 6\d\d s, and the model plays up to 600 s")
        assert "Trim Audio Duration" in words


# --------------------------------------------------------------------------------------------- the sampler's wishes
def repaint_of(graph, task, mask=None):
    load = opened(graph)
    _, latent = heard(graph, load)
    more = {"mask": mask} if mask else {}
    return finished(graph, load, encode(graph, load, task, source=latent), latent, **more), latent


@pytest.mark.parametrize("task", ["repaint", "extend"])
def test_repaint_and_extend_without_a_mask(trial, graph, task):
    song, _ = repaint_of(graph, task)
    assert "Chunk Mask" in trial.refuses(graph, song.sampler, f"The task {task} has no mask")


@pytest.mark.parametrize(
    ("mask", "problem"),
    [
        (torch.zeros(1, 1, FRAMES), "marks nothing to generate"),
        (torch.ones(1, 1, FRAMES - 1), f"{FRAMES - 1} frames, the latent {FRAMES}"),
        (torch.ones(1, 512, 512), f"512 frames, the latent {FRAMES}"),
        (torch.ones(3, 1, FRAMES), "for 3 songs"),
        (torch.full((1, 1, FRAMES), NAN), "NaN"),
        (torch.ones(1, 1, 1, 1, FRAMES), "mask"),
        (torch.ones(0, 1, FRAMES), "mask"),
        (torch.tensor(1.0), "mask"),
    ],
)
def test_a_mask_of_another_song(trial, graph, mask, problem):
    song, _ = repaint_of(graph, "repaint", given(graph, mask))
    trial.refuses(graph, song.sampler, problem)


@pytest.mark.parametrize(
    "mask", [torch.ones(1, 1, FRAMES + 3), torch.ones(2, 1, FRAMES), torch.ones(1, 512, 512)]
)
def test_a_mask_of_another_song_at_splice(trial, graph, mask):
    audio = graph.add("LoadAudio", audio=task_graphs.RECORDING)
    splice = graph.add("AceGraphSplice", new=audio[0], original=audio[0], mask=given(graph, mask))
    graph.add("PreviewAudio", audio=splice["audio"])
    trial.refuses(graph, splice, "mask")


@pytest.mark.parametrize(
    ("start", "end", "problem"),
    [
        (6.0, 7.0, "begins at 6 s, and the song ends at 6 s"),
        (9.0, -1.0, "begins at 9 s, and the song ends at 6 s"),
        (2.0, 2.0, "from 2 to 2 s is empty"),
        (3.0, 1.0, "from 3 to 1 s is empty"),
    ],
)
def test_a_span_outside_of_the_song(trial, graph, start, end, problem):
    load = opened(graph)
    mask = graph.add("AceGraphChunkMask", latent=silence(graph, load), start=start, end=end)
    graph.add("MaskPreview", mask=mask["mask"])
    trial.refuses(graph, mask, problem)


@pytest.mark.parametrize(
    ("task", "tracks"), [("extract", "vocals"), ("lego", "drums"), ("complete", "drums")]
)
def test_a_task_that_a_turbo_checkpoint_has_not_learnt(trial, graph, task, tracks):
    load = opened(graph)
    _, latent = heard(graph, load)
    conditions = encode(graph, load, task, tracks=tracks)
    finished(graph, load, conditions, latent)
    words = trial.refuses(graph, node_of(conditions), f"turbo checkpoint has not learnt the task {task}")
    assert "base checkpoint" in words


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"task": "extract", "tracks": "drums, drums"}, "named twice"),
        ({"task": "lego", "tracks": "kazoo"}, "no track 'kazoo'"),
        ({"bpm": 7}, "7"),
    ],
)
def test_a_brief_that_cannot_be_told(trial, graph, fields, problem):
    load = opened(graph)
    conditions = encode(graph, load, **fields)
    graph.add("PreviewAny", source=conditions)
    trial.refuses(graph, node_of(conditions), problem)


def test_no_words_at_all_are_a_song_too(trial, graph):
    load = opened(graph)
    conditions = encode(graph, load, caption="", lyrics="", tracks="", global_caption="")
    finished(graph, load, conditions, silence(graph, load, seconds=1.0))
    trial.plays(graph)


def test_a_weak_cover_without_second_conditions(trial, graph):
    load = opened(graph)
    _, latent = heard(graph, load)
    song = finished(graph, load, encode(graph, load, "cover"), latent, cover_strength=0.7)
    words = trial.refuses(graph, song.sampler, "cover strength of 0.7 hands over to second conditions")
    assert "text2music" in words


@pytest.mark.parametrize(("songs", "second"), [(3, False), (3, True)])
def test_another_number_of_conditions_than_of_songs(trial, graph, songs, second):
    load = opened(graph)
    one = encode(graph, load)
    two = graph.add("AceGraphBatchConditions", first=one, second=one)["conditions"]
    more = {"second_conditions": two, "cover_strength": 0.5} if second else {}
    song = finished(graph, load, one if second else two, silence(graph, load, songs), **more)
    graph.change(song.save, conditions=None)
    trial.refuses(graph, song.sampler, r"There are 2 (second )?conditions for 3 songs")


def test_another_number_of_conditions_than_of_saved_songs(trial, graph):
    load = opened(graph)
    one = encode(graph, load)
    two = graph.add("AceGraphBatchConditions", first=one, second=one)["conditions"]
    song = finished(graph, load, one, silence(graph, load, 3))
    graph.change(song.save, conditions=two)
    trial.refuses(graph, song.save, "3 songs came with 2 conditions")


def test_noise_for_another_number_of_songs(trial, graph):
    load = opened(graph)
    retake = graph.add("AceGraphRetake", songs=2)
    song = finished(graph, load, encode(graph, load), silence(graph, load, 3), noise=retake["noise"])
    trial.refuses(graph, song.sampler, "2 seeds for 3 songs")


@pytest.mark.parametrize(
    ("times", "problem"),
    [
        ([0.2, 0.5, 1.0], "do not fall"),
        ([1.0, 0.5, 0.5, 0.0], "do not fall"),
        ([14.6, 3.0, 0.03, 0.0], "do not fall from at most 1"),
        ([1.0, 0.5, -0.1], "do not fall"),
        ([1.0, NAN, 0.0], "do not fall"),
        ([], "none"),
        ([0.6, 0.3, 0.0], "begin at 0.6"),
    ],
)
def test_times_that_make_no_schedule(trial, graph, times, problem):
    load = opened(graph)
    sigmas = given(graph, torch.tensor(times))
    song = finished(graph, load, encode(graph, load), silence(graph, load), sigmas=sigmas)
    trial.refuses(graph, song.sampler, problem)


def test_sigmas_as_comfyui_flips_them(trial, graph):
    load = opened(graph)
    karras = graph.add("KarrasScheduler", steps=4, sigma_max=1.0, sigma_min=0.1)
    flipped = graph.add("FlipSigmas", sigmas=karras[0])
    song = finished(graph, load, encode(graph, load), silence(graph, load), sigmas=flipped[0])
    trial.refuses(graph, song.sampler, "do not fall")


def test_music_of_another_length_to_start_from(trial, graph):
    load = opened(graph)
    start = silence(graph, load, seconds=5.0)
    song = finished(
        graph, load, encode(graph, load), silence(graph, load), start_from=start, noise_strength=0.5
    )
    trial.refuses(graph, song.sampler, "start_from lasts 5 s, the source 6 s")


def test_a_song_encoded_as_a_timbre(trial, graph):
    load = opened(graph)
    _, latent = heard(graph, load)
    conditions = encode(graph, load, timbre=latent)
    graph.add("PreviewAny", source=conditions)
    assert "Reference Timbre" in trial.refuses(graph, node_of(conditions), "Timbre references")


def test_conditions_of_another_model(trial, graph, pack):
    core = pack.acestep_core
    brief, task = core.text.prompts.Brief("a song"), core.text.tasks.TASKS["text2music"]
    foreign = (core.text.conditions.Condition(torch.zeros(9, 40), task, brief),)
    load = opened(graph)
    song = finished(graph, load, given(graph, foreign), silence(graph, load))
    trial.refuses(graph, song.sampler, "conditions")


# --------------------------------------------------------------------------------------------- codes
@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "audio code"),
        ("la la la", "audio code"),
        ("<|audio_code_64000|>", "64000"),
        ("<|audio_code_1|><|audio_code_", "broken code"),
    ],
)
def test_codes_that_are_none(trial, graph, text, problem):
    read = graph.add("AceGraphCodesFromText", text=text)
    graph.add("AceGraphSaveCodes", codes=read["codes"])
    trial.refuses(graph, read, problem)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("norm_clamp", -5.0),
        ("norm_clamp", NAN),
        ("ema", 5.0),
        ("ema", -1.0),
        ("wavelet_low", 1e9),
        ("wavelet_high", NAN),
    ],
)
def test_extras_that_no_widget_would_take(trial, graph, field, value):
    extras = graph.add("AceGraphSamplingExtras", wavelet="double", **{field: given(graph, value)})
    load = opened(graph)
    finished(graph, load, encode(graph, load), silence(graph, load), extras=extras["extras"])
    trial.refuses(graph, extras, rf"The {field} is ")


def test_more_times_than_anybody_wants(trial, graph):
    load = opened(graph)
    times = given(graph, torch.linspace(1, 0, 10_001))
    song = finished(graph, load, encode(graph, load), silence(graph, load), sigmas=times)
    trial.refuses(graph, song.sampler, "number of wired times is 10001")


def test_a_list_of_codes_in_which_nothing_was_chosen_yet(trial, graph, pack):
    node = graph.add("AceGraphLoadCodes", file=given(graph, pack.nodes.codes.NO_FILE))
    graph.add("PreviewAny", source=node["report"])
    assert "press R" in trial.refuses(graph, node, "No file of codes is chosen")


# --------------------------------------------------------------------------------------------- said, not refused
@pytest.mark.parametrize(
    ("lyrics", "instrumental", "said"), [("la", True, True), ("la", False, False), (" ", True, False)]
)
def test_lyrics_of_an_instrumental_are_spoken_of(graph, run_graph, lyrics, instrumental, said):
    load = opened(graph)
    words = graph.add(
        "AceGraphEncodeConditions",
        text_encoder=load["text_encoder"],
        caption="slow piano",
        lyrics=lyrics,
        instrumental=instrumental,
    )
    graph.add("PreviewAny", source=words["report"])
    done = run_graph(graph)
    assert done.success, done.error
    assert ("the lyrics are not sung" in done[words["report"]]) == said


@pytest.mark.parametrize(
    ("told", "said"), [({"duration": 45.0}, True), ({}, True), ({"duration": SECONDS}, False)]
)
def test_a_length_that_the_words_do_not_tell_is_spoken_of(graph, run_graph, told, said):
    load = opened(graph)
    words = graph.add(
        "AceGraphEncodeConditions", text_encoder=load["text_encoder"], caption="slow piano", **told
    )
    song = finished(graph, load, words["conditions"], silence(graph, load))
    graph.add("PreviewAny", source=song.sampler["report"])
    done = run_graph(graph)
    assert done.success, done.error
    assert ("The words tell the model of" in done[song.sampler["report"]]) == said
