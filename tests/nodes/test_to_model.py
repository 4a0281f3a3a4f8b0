"""Our transformer under ComfyUI's own samplers, against our Sampler in a real ComfyUI."""

import pytest
import torch

from support.comfyui import task_graphs
from support.comfyui.hosted_graphs import handed, sampled
from support.comfyui.task_graphs import BASE, TURBO, encode, finished, heard, opened, silence
from support.comfyui.trial import given

SAME = 1e-4  # largest difference of songs that both play


@pytest.fixture(autouse=True)
def recording(host):
    """A recording in ComfyUI's input folder."""
    return task_graphs.record(host.base / "input")


def both(run_graph, graph, ours, theirs):
    done = run_graph(graph)
    assert done.success, done.error
    return done[ours]["samples"], done[theirs]["samples"]


def furthest(first, second):
    assert first.shape == second.shape
    return (first - second).abs().max()


def test_turbo_plays_the_samplers_song(graph, run_graph):
    load = opened(graph)
    conditions, source = encode(graph, load), silence(graph, load)
    song = finished(graph, load, conditions, source, seed=4, steps=8)
    latent = sampled(graph, handed(graph, load, conditions, source, seed=4))
    ours, theirs = both(run_graph, graph, song.sampler["latent"], latent)
    assert furthest(ours, theirs) < SAME
    assert ours.abs().max() > 1


def test_ksampler_plays_it_from_the_same_noise(host, graph, run_graph, monkeypatch):
    load = opened(graph)
    conditions, source = encode(graph, load), silence(graph, load)
    song = finished(graph, load, conditions, source, seed=4, steps=8)
    wires = handed(graph, load, conditions, source, seed=4)
    inputs = {name: wires[name] for name in ("model", "positive", "negative")}
    how = {"seed": 4, "steps": 8, "cfg": 1.0, "sampler_name": "euler", "scheduler": "simple", "denoise": 1.0}
    ksampler = graph.add("KSampler", latent_image=wires["latent"], **inputs, **how)
    graph.add("PreviewAny", source=ksampler[0])

    def prepare_noise(latent, seed, batch_index=None):
        drawn = torch.randn(latent.shape[-1], latent.shape[1], generator=torch.Generator().manual_seed(seed))
        return drawn.T[None].contiguous()

    monkeypatch.setattr(host.module("comfy.sample"), "prepare_noise", prepare_noise)
    ours, theirs = both(run_graph, graph, song.sampler["latent"], ksampler[0])
    assert furthest(ours, theirs) < SAME


def test_two_songs_with_conditions_of_their_own(graph, run_graph):
    load = opened(graph)
    short, long = encode(graph, load, lyrics="la"), encode(graph, load, lyrics="[Verse]\nla la la la\nla la")
    joined = graph.add("AceGraphBatchConditions", first=short, second=long)["conditions"]
    source = silence(graph, load, songs=2, seconds=8.04)
    song = finished(graph, load, joined, source, seed=4, steps=8)
    latent = sampled(graph, handed(graph, load, joined, source, seed=4))
    ours, theirs = both(run_graph, graph, song.sampler["latent"], latent)
    assert furthest(ours, theirs) < SAME


@pytest.mark.parametrize("kind", ["apg", "cfg"])
def test_base_is_guided_as_in_the_sampler(graph, run_graph, kind):
    load = opened(graph, BASE)
    conditions, source = encode(graph, load), silence(graph, load, songs=2)
    song = finished(graph, load, conditions, source, seed=4, steps=10, guidance=5.0, guidance_kind=kind)
    wires = handed(graph, load, conditions, source, seed=4, guidance_kind=kind)
    first = sampled(graph, wires, cfg=5.0, steps=10)
    again = sampled(graph, wires, cfg=5.0, steps=10)
    done = run_graph(graph)
    assert done.success, done.error
    ours = done[song.sampler["latent"]]["samples"]
    assert furthest(ours, done[first]["samples"]) < SAME
    assert furthest(ours, done[again]["samples"]) < SAME


def test_heun_is_the_samplers_on_turbo(graph, run_graph):
    load = opened(graph)
    conditions, source = encode(graph, load), silence(graph, load)
    song = finished(graph, load, conditions, source, seed=4, steps=8, solver="heun")
    latent = sampled(graph, handed(graph, load, conditions, source, seed=4), sampler="heun")
    ours, theirs = both(run_graph, graph, song.sampler["latent"], latent)
    assert furthest(ours, theirs) < SAME


def test_zeroed_conditions_count_as_none(graph, run_graph):
    load = opened(graph, BASE)
    wires = handed(graph, load, encode(graph, load), silence(graph, load), guidance_kind="cfg")
    zeroed = graph.add("ConditioningZeroOut", conditioning=wires["positive"])
    plain = sampled(graph, wires, cfg=4.0, steps=4)
    latent = sampled(graph, wires, cfg=4.0, steps=4, negative=zeroed[0])
    ours, theirs = both(run_graph, graph, plain, latent)
    assert furthest(ours, theirs) < 5e-5


def test_real_words_may_be_negative(graph, run_graph):
    load = opened(graph, BASE)
    other = encode(graph, load, caption="loud drums", lyrics="[Verse]\nsome more words")
    source = silence(graph, load)
    plain = handed(graph, load, encode(graph, load), source)
    against = handed(graph, load, encode(graph, load), source, negative_conditions=other)
    outs = [sampled(graph, wires, cfg=4.0, steps=4) for wires in (plain, against)]
    without, with_words = both(run_graph, graph, *outs)
    assert with_words.isfinite().all()
    assert furthest(without, with_words) > 1e-3


def repaint_of(graph, **more):
    load = opened(graph)
    _, latent = heard(graph, load)
    mask = graph.add("AceGraphChunkMask", latent=latent, start=2.0, end=3.0)["mask"]
    conditions = encode(graph, load, "repaint", source=latent)
    return load, latent, mask, conditions


def test_a_repaint_keeps_the_rest_and_plays_the_span(graph, run_graph):
    load, source, mask, conditions = repaint_of(graph)
    song = finished(graph, load, conditions, source, mask=mask, seed=4, steps=8, repaint_strength=0.0)
    latent = sampled(graph, handed(graph, load, conditions, source, mask=mask, seed=4))
    done = run_graph(graph)
    assert done.success, done.error
    before, ours, theirs = (done[link]["samples"] for link in (source, song.sampler["latent"], latent))
    outside = torch.ones(before.shape[-1], dtype=torch.bool)
    outside[50:75] = False
    assert furthest(before[..., outside], theirs[..., outside]) < 1e-6
    assert furthest(before[..., 50:75], theirs[..., 50:75]) > 1e-2
    assert furthest(ours[..., 50:75], theirs[..., 50:75]) < SAME
    # Outside they differ where our seam is: turbo's last step runs free there, and 25 frames are blended with the source.
    apart = (ours - theirs).abs().amax((0, 1)) > SAME
    assert apart[50 - 25 : 50].any()
    assert not apart[: 50 - 25].any()
    assert not apart[75 + 25 :].any()


PATCHES = ("ModelSamplingSD3", "ModelSamplingAuraFlow")  # both set a shift of ComfyUI's own


def test_the_shift_is_the_samplers(graph, run_graph):
    load = opened(graph)
    conditions, source = encode(graph, load), silence(graph, load)
    song = finished(graph, load, conditions, source, seed=4, steps=8, shift=5.0)
    ours_shifted = sampled(graph, handed(graph, load, conditions, source, seed=4, shift=5.0))
    wires = handed(graph, load, conditions, source, seed=4)
    patched = [graph.add(name, model=wires["model"], shift=5.0)[0] for name in PATCHES]
    theirs_shifted = [sampled(graph, wires, model=model) for model in patched]
    done = run_graph(graph)
    assert done.success, done.error
    ours = done[song.sampler["latent"]]["samples"]
    for link in (ours_shifted, *theirs_shifted):
        assert furthest(ours, done[link]["samples"]) < SAME


@pytest.mark.filterwarnings("ignore")  # ComfyUI's own, of NumPy and torch
def test_every_sampler_and_every_scheduler_stays_finite(host, graph, run_graph):
    load = opened(graph)
    wires = handed(graph, load, encode(graph, load), silence(graph, load))
    samplers = host.module("comfy.samplers")
    links = [sampled(graph, wires, cfg=2.0, steps=3, sampler=name) for name in samplers.SAMPLER_NAMES]
    links += [sampled(graph, wires, steps=4, scheduler=name) for name in samplers.SCHEDULER_NAMES]
    done = run_graph(graph)
    assert done.success, done.error
    assert len(links) > 45
    for link in links:
        assert done[link]["samples"].isfinite().all()


def test_a_start_from_music_begins_at_the_source(graph, run_graph):
    load = opened(graph)
    _, latent = heard(graph, load)
    wires = handed(graph, load, encode(graph, load, "cover_nofsq", source=latent), latent)
    near, far = (sampled(graph, wires, denoise=share) for share in (0.1, 1.0))
    done = run_graph(graph)
    assert done.success, done.error
    before = done[latent]["samples"]
    distances = [(done[link]["samples"] - before).norm() for link in (near, far)]
    assert distances[0] < distances[1]


def test_a_short_song_is_lengthened_and_it_is_said(graph, run_graph):
    load = opened(graph)
    wires = handed(graph, load, encode(graph, load), silence(graph, load, seconds=2.0))
    latent = sampled(graph, wires, steps=2)
    done = run_graph(graph)
    assert done.success, done.error
    assert done[latent]["samples"].shape[-1] == 128
    assert "Lengthened" in done[wires["report"]]


def test_the_wire_has_the_patcher_of_our_own_sampler(graph, run_graph):
    """A second one would let a LoRA on this wire into our Sampler's songs."""
    load = opened(graph)
    wires = handed(graph, load, encode(graph, load), silence(graph, load), shift=5.0)
    graph.add("PreviewAny", source=wires["report"])
    done = run_graph(graph)
    handle, patcher = done[load["model"]], done[wires["model"]]
    ours = handle.transformer.patcher
    assert patcher.model is ours.model
    assert handle.transformer.network is ours.model.diffusion_model
    assert patcher is not ours
    assert not ours.object_patches
    assert "sampler_cfg_function" not in ours.model_options


@pytest.fixture
def strange_nodes(host):
    """A node that changes a weight as a LoRA loader does, and one with a conditioning of another model."""
    nodes = host.module("nodes").NODE_CLASS_MAPPINGS
    nodes.update(PatchedForTest=Patched, ForeignForTest=Foreign)
    yield
    del nodes["PatchedForTest"], nodes["ForeignForTest"]


@pytest.mark.usefixtures("strange_nodes")
def test_a_lora_on_the_wire_leaves_our_sampler_as_it_is(host, run_graph):
    """Bit by bit, before and after; the song on the wire is another one."""
    songs = []
    for turn in (0.0, 0.01):  # a start of guidance that means nothing here, so that no cache answers
        graph = host.graph()
        load = opened(graph)
        conditions, source = encode(graph, load), silence(graph, load)
        song = finished(graph, load, conditions, source, seed=4, steps=4, guidance_start=turn)
        done = run_graph(graph)
        assert done.success, done.error
        songs.append(done[song.sampler["latent"]]["samples"])
        wires = handed(graph, load, conditions, source, seed=4)
        patched = graph.add("PatchedForTest", model=wires["model"])
        changed = sampled(graph, wires, steps=4, model=patched[0])
        untouched = sampled(graph, wires, steps=4)
        done = run_graph(graph)
        assert done.success, done.error
        assert furthest(done[changed]["samples"], songs[0]) > 1e-3
        assert furthest(done[untouched]["samples"], songs[0]) < SAME
    assert torch.equal(*songs)


class Patched:
    """What a LoRA loader does: a change of one weight, by the key under which ComfyUI knows it."""

    RETURN_TYPES = ("MODEL",)
    FUNCTION = "patch"
    CATEGORY = "tests"

    @classmethod
    def INPUT_TYPES(cls):  # noqa: N802  (ComfyUI's name)
        return {"required": {"model": ("MODEL",)}}

    def patch(self, model):
        changed = model.clone()
        key = "diffusion_model.layers.0.self_attn.q_proj.weight"
        weight = model.model.state_dict()[key]
        assert changed.add_patches({key: ("diff", (torch.ones_like(weight),))}, 0.5) == [key]
        return (changed,)


class Foreign:
    """A conditioning as CLIP Text Encode makes it."""

    RETURN_TYPES = ("CONDITIONING",)
    FUNCTION = "encode"
    CATEGORY = "tests"

    @classmethod
    def INPUT_TYPES(cls):  # noqa: N802  (ComfyUI's name)
        return {"required": {}}

    def encode(self):
        return ([[torch.zeros(1, 77, 768), {}]],)


@pytest.mark.parametrize(
    ("latent", "problem"),
    [
        (torch.zeros(1, 64, 149), r"\[1, 64, 149\], and the conditioning is for \[songs, 64, 150\]"),
        (torch.zeros(1, 4, 64, 64), r"shape \[1, 64, 64, 64\]"),
        (torch.zeros(3, 64, 150), "is for 2 songs, and there are 3"),
    ],
)
def test_latents_of_another_song_are_refused(trial, graph, latent, problem):
    load = opened(graph)
    wires = handed(graph, load, encode(graph, load), silence(graph, load, songs=2))
    link = sampled(graph, wires, steps=1, latent=given(graph, {"samples": latent}))
    node = task_graphs.Node(link[0], ())
    trial.refuses(graph, node, problem)


@pytest.mark.usefixtures("strange_nodes")
def test_a_conditioning_of_another_model_is_refused(trial, graph):
    load = opened(graph)
    wires = handed(graph, load, encode(graph, load), silence(graph, load))
    foreign = graph.add("ForeignForTest")
    link = sampled(graph, wires, steps=1, positive=foreign[0])
    trial.refuses(graph, task_graphs.Node(link[0], ()), "not made for this model")


def test_a_task_without_its_mask_is_refused_before_any_sampler(trial, graph):
    load = opened(graph)
    _, latent = heard(graph, load)
    wires = handed(graph, load, encode(graph, load, "repaint", source=latent), latent)
    graph.add("PreviewAny", source=wires["report"])
    trial.refuses(graph, wires, "has no mask")


def test_the_report_says_how_to_set_the_sampler(graph, run_graph):
    load, base = opened(graph, TURBO), opened(graph, BASE)
    nodes = [handed(graph, one, encode(graph, one), silence(graph, one)) for one in (load, base)]
    for node in nodes:
        graph.add("PreviewAny", source=node["report"])
    done = run_graph(graph)
    turbo, guided = (done[node["report"]] for node in nodes)
    assert "8 steps, cfg 1," in turbo
    assert "50 steps, cfg 7 (apg)," in guided
    assert "another song" in turbo
