"""Our transformer as ComfyUI's model: on small cards, in bf16, stopped, with adapters, and with conditions by time."""

import shutil

import pytest
import torch

from support.comfyui import task_graphs
from support.comfyui.host import Runner
from support.comfyui.hosted_graphs import handed, ksampled, sampled
from support.comfyui.small_cards import MOST, NONE, SOME, WHOLE, card_with_room_for
from support.comfyui.task_graphs import BASE, TURBO, encode, finished, heard, opened, silence
from support.tiny import adapters
from support.tiny.checkpoint import tiny_model

SAME = 1e-4
LORA = "tests/on_the_wire.safetensors"


@pytest.fixture(autouse=True)
def recording(host):
    """A recording in ComfyUI's input folder."""
    return task_graphs.record(host.base / "input")


def outcome(run_graph, graph, *links):
    done = run_graph(graph)
    assert done.success, done.error
    return [done[link]["samples"] for link in links]


def furthest(first, second):
    assert first.shape == second.shape
    return (first.float() - second.float()).abs().max()


def test_a_weak_cover_by_ranges_of_time_is_the_samplers(graph, run_graph):
    """Both ends of a range count, so the first begins a hair above the half."""
    load = opened(graph)
    _, latent = heard(graph, load)
    codes = graph.add("AceGraphAudioToCodes", model=load["model"], latent=latent)
    hints = graph.add("AceGraphCodesToLatent", model=load["model"], codes=codes["codes"])["latent"]
    cover, plain = (encode(graph, load, task, source=latent) for task in ("cover", "text2music"))
    song = finished(graph, load, cover, hints, seed=4, steps=8, cover_strength=0.5, second_conditions=plain)
    first = handed(graph, load, cover, hints, seed=4)
    second = handed(graph, load, plain, silence(graph, load), seed=4)
    graph.add("PreviewAny", source=second["report"])
    ranges = [
        graph.add("ConditioningSetTimestepRange", conditioning=wires["positive"], start=start, end=end)[0]
        for wires, start, end in ((first, 0.0, 0.4999), (second, 0.5, 1.0))
    ]
    both = graph.add("ConditioningCombine", conditioning_1=ranges[0], conditioning_2=ranges[1])
    ours, theirs = outcome(run_graph, graph, song.sampler["latent"], sampled(graph, first, positive=both[0]))
    assert furthest(ours, theirs) < SAME
    whole = sampled(graph, first)
    assert furthest(ours, outcome(run_graph, graph, whole)[0]) > 1e-3


def test_bf16_plays_the_samplers_song_up_to_its_rounding(graph, run_graph):
    load = opened(graph, {**TURBO, "weight_dtype": "bf16"})
    conditions, source = encode(graph, load), silence(graph, load)
    song = finished(graph, load, conditions, source, seed=4, steps=8)
    ours, theirs = outcome(
        run_graph,
        graph,
        song.sampler["latent"],
        sampled(graph, handed(graph, load, conditions, source, seed=4)),
    )
    assert furthest(ours, theirs) < 0.05 * ours.abs().max()
    assert theirs.isfinite().all()


def played_through(host, cfg):
    """KSampler on base, two songs; the node and its latent."""
    graph = host.graph()
    load = opened(graph, BASE)
    wires = handed(graph, load, encode(graph, load), silence(graph, load, songs=2), seed=4)
    return graph, ksampled(graph, wires, cfg=cfg, steps=3)


@pytest.mark.parametrize("cfg", [1.0, 4.0])
@pytest.mark.parametrize("share", [WHOLE, MOST, SOME, NONE])
def test_partial_loading_changes_nothing(host, pack, cfg, share):
    graph, node = played_through(host, cfg)
    (wanted,) = outcome(Runner(host), graph, node[0])
    host.module("comfy.model_management").unload_all_models()
    with card_with_room_for(share) as loads:
        graph, node = played_through(host, cfg)
        (found,) = outcome(Runner(host), graph, node[0])
    host.module("comfy.model_management").unload_all_models()
    assert furthest(found, wanted) < SAME
    assert loads.shares["DiffusionTransformer"][-1] <= min(share, 1.0) + 1e-6


def test_ksampler_tells_its_steps_and_stops_between_two_of_them(graph, run_graph, host):
    load = opened(graph)
    wires = handed(graph, load, encode(graph, load), silence(graph, load))
    node = ksampled(graph, wires, steps=6)
    stopped = run_graph(graph, stop_at=(node, 2))
    assert stopped.interrupted
    assert [move.value for move in stopped.progress if move.node == node.id][-1] == 2
    done = run_graph(graph)
    assert done.success, done.error
    moves = [(move.value, move.total) for move in done.progress if move.node == node.id]
    assert moves[-1] == (6, 6)
    assert {total for _, total in moves} == {6}
    assert done[node[0]]["samples"].isfinite().all()


@pytest.mark.parametrize("method", ["Auto", "Latent2RGB", "TAESD"])
def test_with_previews_switched_on_there_is_none_and_the_bar_moves(
    graph, run_graph, host, monkeypatch, method
):
    """There are no factors for colours of a song, and no small decoder."""
    cli = host.module("comfy.cli_args")
    monkeypatch.setattr(cli.args, "preview_method", cli.LatentPreviewMethod[method])
    load = opened(graph)
    wires = handed(graph, load, encode(graph, load), silence(graph, load))
    node = ksampled(graph, wires, steps=2)
    done = run_graph(graph)
    assert done.success, done.error
    assert [(move.value, move.total) for move in done.progress if move.node == node.id][-1] == (2, 2)


def test_guidance_asked_again_at_a_sigma_begins_from_the_same_memory(pack):
    """As samplers do that evaluate several times in a step; at the start of a run it has no memory."""
    guiding = pack.nodes.host.native_model.HostGuidance()
    told = [{name: torch.randn(1, 64, 20) for name in ("input", "cond", "uncond")} for _ in range(2)]
    options = {"transformer_options": {"sample_sigmas": torch.tensor([1.0, 0.5, 0.0])}}

    def guided(place, sigma):
        how = {"cond_scale": 5.0, "sigma": torch.tensor([sigma]), "model_options": options}
        return guiding({**told[place], **how})

    first = guided(0, 1.0)
    second = guided(1, 0.5)
    assert torch.equal(guided(1, 0.5), second)
    fresh = pack.nodes.host.native_model.HostGuidance()
    assert not torch.equal(
        fresh({**told[1], "cond_scale": 5.0, "sigma": torch.tensor([0.5]), "model_options": options}), second
    )
    assert torch.equal(guided(0, 1.0), first)


@pytest.mark.parametrize(("cfg", "rows"), [(1.0, {2}), (4.0, {4})])
def test_without_guidance_there_is_one_row_for_a_song(graph, run_graph, pack, monkeypatch, cfg, rows):
    asked, network = [], pack.acestep_core.networks.dit.DiffusionTransformer
    forward = network.forward

    def counting(self, x, *given, **named):
        asked.append(len(x))
        return forward(self, x, *given, **named)

    monkeypatch.setattr(network, "forward", counting)
    load = opened(graph, BASE)
    wires = handed(graph, load, encode(graph, load), silence(graph, load, songs=2))
    outcome(run_graph, graph, ksampled(graph, wires, cfg=cfg, steps=3)[0])
    assert set(asked) == rows
    assert len(asked) == 3


def test_the_null_branch_is_the_samplers(graph, run_graph):
    """Far guidance, in one step, shows nothing else."""
    load = opened(graph, BASE)
    conditions, source = encode(graph, load), silence(graph, load)
    song = finished(graph, load, conditions, source, seed=4, steps=1, guidance=20.0, guidance_kind="cfg")
    wires = handed(graph, load, conditions, source, seed=4, guidance_kind="cfg")
    ours, theirs = outcome(run_graph, graph, song.sampler["latent"], sampled(graph, wires, cfg=20.0, steps=1))
    assert furthest(ours, theirs) < 20 * 5e-5


@pytest.fixture
def lora(host, pack):
    """A LoRA in ComfyUI's folder, gone afterwards."""
    folder = host.base / "models" / "loras" / "tests"
    folder.mkdir()
    adapters.write_examples(folder, tiny_model().model)
    (folder / adapters.EXAMPLE).rename(folder / LORA.split("/")[1])
    yield LORA
    shutil.rmtree(folder)


def test_an_adapter_plays_the_same_in_both_samplers_and_leaves_the_plain_song_alone(graph, run_graph, lora):
    load = opened(graph)
    adapted = graph.add("AceGraphLoadAdapter", model=load["model"], adapter=lora, strength=1.0)
    conditions, source = encode(graph, load), silence(graph, load)
    songs = [
        finished(graph, {"model": model, "vae": load["vae"]}, conditions, source, seed=4, steps=4)
        for model in (load["model"], adapted["model"])
    ]
    wires = handed(graph, {"model": adapted["model"]}, conditions, source, seed=4)
    links = [song.sampler["latent"] for song in songs]
    plain, ours, theirs = outcome(run_graph, graph, *links, sampled(graph, wires, steps=4))
    assert furthest(ours, theirs) < SAME
    assert furthest(plain, ours) > 1e-3
    again = finished(graph, load, conditions, source, seed=4, steps=4, guidance_start=0.01)
    assert torch.equal(outcome(run_graph, graph, again.sampler["latent"])[0], plain)


def test_an_adapter_changes_an_edit_and_is_noted_with_it(graph, run_graph, lora):
    node = task_graphs.edited(graph, steps=4)
    inputs = graph.prompt[node.id]["inputs"]
    (plain,) = outcome(run_graph, graph, node["latent"])
    adapted = graph.add("AceGraphLoadAdapter", model=inputs["model"], adapter=lora, strength=1.0)
    graph.change(node, model=adapted["model"])
    done = run_graph(graph)
    assert done.success, done.error
    assert furthest(plain, done[node["latent"]]["samples"]) > 1e-3
    assert "on_the_wire x 1" in done[node["report"]]
    assert "on_the_wire" in done[node["latent"]]["acegraph_adapters"][0]
