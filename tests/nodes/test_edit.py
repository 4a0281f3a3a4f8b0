"""Edit Song in a real ComfyUI: every preset and task, batches, masks, what the report says, what is refused."""

import pytest
import torch

from support.comfyui import task_graphs
from support.comfyui.task_graphs import BASE, TURBO, edited, encode, finished, heard, opened, silence
from support.comfyui.trial import given


@pytest.fixture(autouse=True)
def recording(host):
    """A recording in ComfyUI's input folder."""
    return task_graphs.record(host.base / "input")


def played(run_graph, graph, node):
    done = run_graph(graph)
    assert done.success, done.error
    return done[node["latent"]]["samples"], done[node["report"]]


def inputs(graph, node):
    return graph.prompt[node.id]["inputs"]


@pytest.mark.parametrize("what", ["whole", "words", "remix"])
def test_every_preset_changes_the_recording_and_keeps_its_length(graph, run_graph, what):
    node = edited(graph, what_changes=what)
    source = inputs(graph, node)["source"]
    done = run_graph(graph)
    before, after = (done[link]["samples"] for link in (source, node["latent"]))
    assert before.shape == after.shape
    assert after.isfinite().all()
    assert (before - after).abs().max() > 1e-2


def test_the_report_tells_where_the_edit_begins_and_what_it_costs(graph, run_graph):
    _, report = played(run_graph, graph, edited(graph, what_changes="words", draws=2, seed=5))
    assert "Compared in steps 5 to 8, from t = 0.75 to 0" in report
    assert "16 evaluations" in report
    assert "Seeds: 5" in report
    assert "8 steps" in report
    assert "no guidance" in report


def test_the_report_of_a_remix_tells_of_its_tail(graph, run_graph):
    _, report = played(run_graph, graph, edited(graph, what_changes="remix"))
    assert "Compared in steps 2 to 3" in report
    assert "The target plays alone from t = 0.833 on" in report


def test_a_base_checkpoint_is_guided_on_both_sides(graph, run_graph):
    _, report = played(run_graph, graph, edited(graph, BASE, steps=2))
    assert "APG 7" in report


def test_guidance_on_turbo_is_said(graph, run_graph):
    _, report = played(run_graph, graph, edited(graph, guidance=4.0, steps=2))
    assert "not what it was distilled for" in report


def test_equal_conditions_give_the_recording_back_and_are_said(graph, run_graph):
    node = edited(graph)
    graph.change(node, target_conditions=inputs(graph, node)["source_conditions"])
    done = run_graph(graph)
    before = done[inputs(graph, node)["source"]]["samples"]
    assert (before - done[node["latent"]]["samples"]).abs().max() < 1e-5
    assert "say the same" in done[node["report"]]


def test_outside_of_the_mask_the_recording_stays_bit_by_bit(graph, run_graph):
    node = edited(graph)
    source = inputs(graph, node)["source"]
    mask = graph.add("AceGraphChunkMask", latent=source, start=2.0, end=3.0)
    graph.change(node, mask=mask["mask"])
    done = run_graph(graph)
    before, after = (done[link]["samples"] for link in (source, node["latent"]))
    outside = torch.ones(before.shape[-1], dtype=torch.bool)
    outside[50:75] = False
    assert torch.equal(before[..., outside], after[..., outside])
    assert (before - after)[..., 50:75].abs().max() > 1e-2


def test_after_splice_every_sample_outside_is_that_of_the_recording(graph, run_graph):
    load = opened(graph)
    audio, latent = heard(graph, load)
    mask = graph.add("AceGraphChunkMask", latent=latent, start=2.0, end=3.0)
    sides = {f"{side}_conditions": encode(graph, load, caption=side) for side in ("source", "target")}
    node = graph.add("AceGraphEdit", model=load["model"], source=latent, mask=mask["mask"], steps=2, **sides)
    decode = graph.add("AceGraphOobleckDecode", vae=load["vae"], latent=node["latent"])
    splice = graph.add(
        "AceGraphSplice", new=decode["audio"], original=audio[0], mask=mask["mask"], crossfade=0.0
    )
    graph.add("PreviewAudio", audio=splice["audio"])
    done = run_graph(graph)
    assert done.success, done.error
    before, after = (done[link]["waveform"] for link in (audio[0], splice["audio"]))
    for span in (slice(0, 96_000), slice(144_000, None)):
        assert torch.equal(before[..., span], after[..., span])


def test_a_context_that_the_task_does_not_read_is_said(graph, run_graph):
    node = edited(graph, steps=2)
    graph.change(node, context=inputs(graph, node)["source"])
    _, report = played(run_graph, graph, node)
    assert "The context is not used under text2music" in report


def test_of_the_extras_the_filters_change_the_song_and_others_do_not(graph, run_graph):
    """The EMA filter acts on both sides; noise of a solver and guidance of another kind have no place in an edit."""
    node = edited(graph, BASE, steps=3)
    plain, _ = played(run_graph, graph, node)

    def under(**settings):
        extras = graph.add("AceGraphSamplingExtras", **settings)
        graph.change(node, extras=extras["extras"])
        return played(run_graph, graph, node)[0]

    assert (under(ema=0.3) - plain).abs().max() > 1e-3
    assert torch.equal(under(wavelet="double", wavelet_low=0.2), plain)


@pytest.mark.parametrize("task", ["cover", "cover_nofsq"])
def test_an_edit_under_a_covers_task(graph, run_graph, task):
    node = edited(graph, task=task, steps=2)
    if task == "cover":
        model, source = inputs(graph, node)["model"], inputs(graph, node)["source"]
        codes = graph.add("AceGraphAudioToCodes", model=model, latent=source)
        hints = graph.add("AceGraphCodesToLatent", model=model, codes=codes["codes"])
        graph.change(node, context=hints["latent"])
    latent, report = played(run_graph, graph, node)
    assert latent.isfinite().all()
    assert f"under {task} on" in report


def test_a_song_of_a_batch_is_the_song_alone(host, run_graph):
    latents = []
    for seed, songs in ((5, 2), (6, 1)):
        graph = host.graph()
        load = opened(graph)
        sides = {f"{side}_conditions": encode(graph, load, caption=side) for side in ("source", "target")}
        source = silence(graph, load, songs)
        node = graph.add("AceGraphEdit", model=load["model"], source=source, seed=seed, steps=4, **sides)
        graph.add("PreviewAny", source=node["report"])
        latents.append(played(run_graph, graph, node)[0])
    assert (latents[0][1:] - latents[1]).abs().max() < 5e-4


def test_an_end_of_zero_is_the_samplers_song(graph, run_graph):
    load = opened(graph)
    wanted = encode(graph, load, caption="target")
    source = silence(graph, load)
    song = finished(graph, load, wanted, source, seed=9, steps=4)
    node = graph.add(
        "AceGraphEdit",
        model=load["model"],
        source=source,
        source_conditions=encode(graph, load, caption="source"),
        target_conditions=wanted,
        what_changes="custom",
        end=0.0,
        seed=9,
        steps=4,
    )
    graph.add("PreviewAny", source=node["report"])
    done = run_graph(graph)
    new, edit = (done[link]["samples"] for link in (song.sampler["latent"], node["latent"]))
    assert (new - edit).abs().max() < 1e-5


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        ({"what_changes": "custom", "start": 0.6, "end": 0.4}, "begins at 0.6 and ends at 0.4"),
        ({"sigmas": torch.tensor([0.8, 0.4, 0.0])}, "begin at 0.8"),
        ({"mask": torch.zeros(1, 1, 150)}, "marks nothing to change"),
        ({"mask": torch.ones(1, 1, 149)}, "149 frames"),
    ],
)
def test_what_cannot_be_edited_is_said(trial, graph, wrong, problem):
    node = edited(graph, steps=2)
    more = {
        key: given(graph, value) if isinstance(value, torch.Tensor) else value for key, value in wrong.items()
    }
    graph.change(node, **more)
    trial.refuses(graph, node, problem)


def test_sides_with_different_tasks_are_refused(trial, graph):
    node = edited(graph)
    load = opened(graph)
    graph.change(node, target_conditions=encode(graph, load, "cover"))
    assert "same task" in trial.refuses(graph, node, "task text2music, the target conditions cover")


@pytest.mark.parametrize("task", ["repaint", "extend"])
def test_a_task_that_no_edit_knows_is_refused(trial, graph, task):
    trial.refuses(graph, edited(graph, task=task), f"cannot be edited under the task {task}")


def test_a_cover_without_hints_is_refused(trial, graph):
    words = trial.refuses(graph, edited(graph, TURBO, "cover"), "needs the hints")
    assert "Codes to Latent" in words


def test_hints_of_another_length_are_refused(trial, graph):
    node = edited(graph, TURBO, "cover")
    short = given(graph, {"samples": torch.randn(1, 64, 100), "type": "audio"})
    graph.change(node, context=short)
    trial.refuses(graph, node, "context is for 1 songs of 100 frames")
