"""Heard while sampling: within its share of the time, never at the price of memory or of the result, told to one client."""

import json
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch

from support.comfyui import task_graphs
from support.comfyui.fake_gpu import loaded_bytes, pretend_gpu, replaced
from support.comfyui.handles import tiny_handles
from support.comfyui.small_cards import WHOLE, card_with_room_for

MB = 1024 * 1024
CLIENT = "tests"  # whose prompts a Runner executes
STEPS = 8
ALWAYS = 1e9  # of the time: an excerpt after every step that may have one
HEARD_STEPS = [3, 4, 5, 6, 7]  # of eight: not in the first quarter, and not after the last


@pytest.fixture
def excerpts(pack):
    return pack.nodes.runs.excerpts


# --------------------------------------------------------------------------------------------------- the budget
class Clock:
    """Time that passes only when told."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


STEP_FLOP, COSTS = 100.0, {8: 4.0, 4: 2.0, 2: 1.0}  # at one second a step, 8 s cost 0.04 s


def simulated(excerpts, steps, step=1.0, slower=1.0, costs=COSTS):
    """A run of so many steps: (step, seconds of sound, time spent up to then, time passed) of every excerpt."""
    clock, made, spent = Clock(), [], 0.0
    budget = excerpts.Budget(STEP_FLOP, costs, clock)
    for done in range(1, steps + 1):
        clock.now += step
        if seconds := budget.due(done, steps):
            with budget.spending(seconds):
                cost = slower * costs[seconds] * step / STEP_FLOP
                clock.now += cost
            spent += cost
            made.append((done, seconds, spent, clock.now))
    return made


@pytest.mark.parametrize("steps", [2, 3, 4, 8, 50])
def test_nothing_is_heard_of_the_first_quarter_and_of_the_last_step(excerpts, steps):
    heard = [done for done, *_ in simulated(excerpts, steps, costs={2: 1e-9})]
    assert heard == [done for done in range(1, steps) if done > steps / 4]


@pytest.mark.parametrize("slower", [1.0, 0.2, 5.0])
@pytest.mark.parametrize("cost", [0.5, 3.0, 20.0])
@pytest.mark.parametrize("steps", [8, 50, 400])
def test_excerpts_take_at_most_their_share(excerpts, steps, cost, slower):
    made = simulated(excerpts, steps, slower=slower, costs={8: 4 * cost, 4: 2 * cost, 2: cost})
    for number, (_, _, spent, passed) in enumerate(made):
        first_may_be_wrong = max(slower, 1) if number == 0 else slower
        assert spent - made[0][2] * (1 - 1 / first_may_be_wrong) <= 0.05 * passed * 1.0001
    if steps == 400:
        assert len(made) > 3


@pytest.mark.parametrize(("steps", "seconds"), [(400, 8), (60, 8), (24, 8), (8, 8), (5, 4), (3, 2), (2, 2)])
def test_the_longest_excerpt_that_the_rest_of_the_run_is_worth(excerpts, steps, seconds):
    costs = {8: 15.0, 4: 7.5, 2: 3.75}  # 0.15, 0.075 and 0.0375 s
    made = simulated(excerpts, steps, costs=costs)
    assert made[0][1] == seconds
    done = made[0][0]
    longer = [cost / STEP_FLOP for length, cost in costs.items() if length > seconds]
    assert costs[seconds] / STEP_FLOP <= 0.05 * (steps - done)
    assert not longer or longer[-1] > 0.05 * (steps - done)
    assert len({length for _, length, *_ in made}) == 1, "the passage stays what it is"


def test_a_run_too_short_for_the_shortest_excerpt_has_none(excerpts):
    assert simulated(excerpts, 8, costs={8: 200.0, 4: 100.0, 2: 50.0}) == []


# ------------------------------------------------------------------------------------------------- the passage
def test_the_passage_is_where_most_happens(excerpts):
    distance = np.ones(1_000, np.float32)
    distance[700:800] = 3
    assert excerpts.passage_of(distance, None, 100).start == 700


@pytest.mark.parametrize("length", [50, 200])
def test_the_passage_is_where_the_mask_is_and_holds_all_of_a_short_one(excerpts, length):
    distance, mask = np.ones(1_000, np.float32), np.zeros(1_000, np.float32)
    distance[100:300], mask[600:700] = 9, 1
    span = excerpts.passage_of(distance, mask, length)
    assert span.stop - span.start == length
    inside = mask[span.start : span.stop].sum()
    assert inside == min(length, 100)
    if length > 100:
        assert abs((span.start + span.stop) / 2 - 650) < 2, "the mask is in its middle"


def test_a_song_shorter_than_an_excerpt_is_one_passage(excerpts):
    for mask in (None, np.zeros(30, np.float32)):
        span = excerpts.passage_of(np.zeros(30, np.float32), mask, 30)
        assert (span.start, span.stop) == (0, 30)


@pytest.mark.parametrize(("start", "stop"), [(0, 50), (40, 90), (70, 120), (0, 120)])
def test_a_passage_sounds_as_it_does_in_the_whole_song(pack, models, excerpts, start, stop):
    oobleck = tiny_handles(pack, models).oobleck
    clean = torch.randn(1, 120, 64, generator=torch.Generator().manual_seed(0))
    whole = oobleck.decode(clean)[:, :, start * 1920 : stop * 1920]
    passage = excerpts.FrameSpan(start, stop)
    assert torch.allclose(excerpts.decoded(oobleck, clean, passage), whole, atol=2e-5)


# ------------------------------------------------------------------------------------------------------- a run
@pytest.fixture
def listening(host, monkeypatch):
    """Somebody's tab is open, which queued what a Runner executes."""
    monkeypatch.setitem(host.server.sockets, CLIENT, object())


@pytest.fixture
def run_song(host, run_graph, pack):
    """run_song(heard, task) -> the finished graph, its latent, its report and what was told of excerpts."""
    task_graphs.record(host.base / "input")

    def made(heard=True, task=task_graphs.text2music, share=ALWAYS, **sampling):
        graph = host.graph()
        song = task(graph, **{"steps": STEPS, **sampling})
        for node in (song.save, song.decode):  # which take time and are not asked
            del graph.prompt[node.id]
        graph.add("PreviewAny", source=song.sampler["report"])
        if heard:
            graph.change(song.sampler, preview_vae=song.load["vae"])
        run_graph.executor.reset()  # so that networks are loaded on the devices of now
        with replaced(pack.nodes.runs.excerpts, SHARE=share):
            done = run_graph(graph)
        assert done.success, done.error
        told = [data for event, data in host.events if event == "acegraph.heard"]
        latent, report = done[song.sampler["latent"]]["samples"], done[song.sampler["report"]]
        return SimpleNamespace(done=done, song=song, latent=latent, report=report, told=told)

    return made


@pytest.fixture(scope="module")
def known():
    """Latents of each task without excerpts, kept for the tests of this file."""
    return {}


@pytest.fixture
def plain_song(run_song, known):
    """plain_song(task) -> what the task plays without excerpts."""

    def played(task=task_graphs.text2music):
        if task not in known:
            known[task] = run_song(heard=False, task=task)
        return known[task]

    return played


def temp_files(host):
    return sorted(Path(host.base / "temp").glob("acegraph_heard_*"))


@pytest.mark.parametrize("task", [task_graphs.text2music, task_graphs.repaint, task_graphs.lego])
def test_the_song_is_bit_for_bit_the_same(run_song, plain_song, listening, task):
    plain, heard = plain_song(task), run_song(task=task)
    assert [told["step"] for told in heard.told] == HEARD_STEPS
    assert torch.equal(plain.latent, heard.latent)
    assert plain.told == []
    assert "xcerpt" not in plain.report


def test_what_is_told_and_what_lies_in_the_temp_folder(host, run_song, listening):
    song = run_song()
    files = temp_files(host)
    assert len(files) == 2
    assert [told["filename"] for told in song.told[-2:]] == sorted(
        (path.name for path in files), key=[told["filename"] for told in song.told].index
    )
    for told in song.told:
        json.dumps(told)
        assert told["node"] == song.song.sampler.id
        assert told["prompt_id"]
        assert (told["item"], told["steps"], told["type"], told["subfolder"]) == (0, STEPS, "temp", "")
        assert (told["at"], told["seconds"]) == (song.told[0]["at"], task_graphs.SECONDS)
    times = [told["t"] for told in song.told]
    assert times == sorted(times, reverse=True)
    assert 0 < times[-1] < times[0] < 1
    info = soundfile.info(files[0])
    assert (info.format, info.subtype, info.samplerate, info.channels) == ("FLAC", "PCM_16", 48_000, 2)
    assert info.duration == task_graphs.SECONDS
    assert "Excerpts while sampling: 5, from 0 to 6 s." in song.report


def test_the_passage_stays_where_it_was_first_although_more_happens_elsewhere_later(
    excerpts, run_song, listening, monkeypatch
):
    peaks = iter(range(250, 0, -50))

    def elsewhere(quiet, clean):
        distance = np.ones(clean.shape[:2], np.float32)
        first = next(peaks)
        distance[:, first : first + 200] = 9
        return distance

    monkeypatch.setattr(excerpts, "distance_from", elsewhere)
    song = run_song(seconds=20.0)
    assert [(told["at"], told["seconds"]) for told in song.told] == [(10.0, 8.0)] * len(HEARD_STEPS)
    assert "from 10 to 18 s" in song.report


def test_the_last_excerpt_is_the_estimate_of_its_step_with_its_ends_faded(
    host, pack, run_song, listening, monkeypatch
):
    estimates, node = [], pack.nodes.runs.excerpts
    plain = node.Excerpts.hear

    def kept(self, progress):
        estimates.append(progress.clean.clone())
        plain(self, progress)

    monkeypatch.setattr(node.Excerpts, "hear", kept)
    song = run_song()
    (entry,) = (path for path in temp_files(host) if path.name == song.told[-1]["filename"])
    samples, _ = soundfile.read(entry, always_2d=True)
    oobleck = song.done[song.song.load["vae"]].vae.network
    sound = oobleck.decode(estimates[6])[0, :, : len(samples)].numpy().T
    sound = sound / max(1.0, abs(sound).max())
    inside = slice(480, -480)
    assert np.allclose(samples[inside], sound[inside], atol=1.5 / 2**15)
    assert abs(samples[[0, -1]]).max() == 0
    assert abs(samples[240]) == pytest.approx(abs(sound[240]) / 2, rel=0.02, abs=1e-4)


@pytest.mark.parametrize("client", ["somebody", "nobody"])
def test_without_a_client_that_listens_there_is_no_event_no_file_and_no_vae_on_the_card(
    host, pack, run_song, monkeypatch, client
):
    monkeypatch.setitem(host.server.sockets, "another tab", object())
    before, loaded = temp_files(host), []
    plain = pack.nodes.host.runtime.Managed.loaded
    monkeypatch.setattr(
        pack.nodes.host.runtime.Managed,
        "loaded",
        lambda self, room, *beside: loaded.append(beside) or plain(self, room, *beside),
    )
    if client == "nobody":
        execute = host.module("execution").PromptExecutor.execute
        monkeypatch.setattr(
            host.module("execution").PromptExecutor,
            "execute",
            lambda self, prompt, key, extra, outputs: execute(self, prompt, key, {}, outputs),
        )
    song = run_song()
    assert song.told == []
    assert temp_files(host) == before
    assert set(loaded) == {()}
    assert "xcerpt" not in song.report
    assert "eard" not in song.report


def test_an_event_goes_to_the_client_that_queued_the_prompt(pack, monkeypatch):
    sent, module = [], pack.nodes.host.audience
    running = SimpleNamespace(
        client_id="mine", sockets={"mine": 1, "other": 2}, send_sync=lambda *given: sent.append(given)
    )
    monkeypatch.setattr(module.PromptServer, "instance", running)
    monkeypatch.setattr(
        module, "get_executing_context", lambda: SimpleNamespace(prompt_id="p", node_id="4:1")
    )
    module.audience().tell("acegraph.heard", {"step": 3})
    assert sent == [("acegraph.heard", {"node": "4:1", "prompt_id": "p", "step": 3}, "mine")]
    for nobody in (None, "", "gone"):
        running.client_id = nobody
        assert module.audience() is None


# ------------------------------------------------------------------------------------------------- memory
MOVES = {  # what moves weights or clears caches
    "comfy.model_management": ("load_models_gpu", "free_memory", "soft_empty_cache", "unload_all_models"),
    "comfy.model_patcher.ModelPatcher": (
        "load",
        "partially_load",
        "partially_unload",
        "detach",
        "patch_model",
    ),
    "torch.nn.Module": ("to", "cpu"),
}


@contextmanager
def counted_moves(host, pack, monkeypatch):
    """Names of all that moves weights: (before and after the sampling loop, inside of it)."""
    outside, inside, place = [], [], [None]
    place[0] = outside
    module, generate = pack.nodes.runs.sampling, pack.nodes.runs.sampling.generate_song

    def sampled(*given, **words):
        place[0] = inside
        try:
            return generate(*given, **words)
        finally:
            place[0] = outside

    def counting(name, plain):
        def counted(*given, **words):
            place[0].append((name, given[0] if given else None))
            return plain(*given, **words)

        return counted

    with monkeypatch.context() as patch:
        patch.setattr(module, "generate_song", sampled)
        for owner, names in MOVES.items():
            holder = owner
            if owner.rpartition(".")[2][0].isupper():
                path, _, cls = owner.rpartition(".")
                holder = vars(host.module(path))[cls]
            else:
                holder = host.module(owner)
            for name in names:
                patch.setattr(holder, name, counting(name, vars(holder)[name]))
        yield outside, inside


def test_both_networks_come_in_by_one_call_and_nothing_moves_inside_the_loop(
    host, pack, run_song, plain_song, listening, monkeypatch
):
    with pretend_gpu(1024) as device:
        plain = plain_song()
        with counted_moves(host, pack, monkeypatch) as (outside, inside):
            heard = run_song()
        assert loaded_bytes(device) > 0
    assert len(heard.told) == len(HEARD_STEPS)
    assert inside == []
    together = [patchers for name, patchers in outside if name == "load_models_gpu" and len(patchers) > 1]
    (pair,) = together
    names = [type(getattr(patcher.model, "diffusion_model", patcher.model)).__name__ for patcher in pair]
    assert names == ["DiffusionTransformer", "Oobleck"]
    assert torch.equal(plain.latent, heard.latent)


def sizes_of(pack, models):
    """Bytes of the transformer and of the VAE."""
    made = tiny_handles(pack, models)
    return made.model.transformer.patcher.model_size(), made.vae.vae.patcher.model_size()


@pytest.mark.parametrize("spare", [MB, -MB])
def test_a_card_too_small_for_both_shows_pictures_only_and_it_is_said(
    pack, models, excerpts, run_song, plain_song, listening, monkeypatch, spare
):
    transformer, vae = sizes_of(pack, models)
    monkeypatch.setattr(excerpts, "excerpt_bytes", lambda vae: 3 * MB)
    monkeypatch.setattr(pack.nodes.runs.sampling, "sampling_bytes", lambda *given: 2 * MB)
    plain = plain_song()
    loaded = []
    runtime = pack.nodes.host.runtime.Managed
    original = runtime.loaded
    monkeypatch.setattr(
        runtime, "loaded", lambda self, room, *beside: loaded.append(beside) or original(self, room, *beside)
    )
    with pretend_gpu((transformer + vae + 5 * MB + spare) / MB):
        song = run_song()
    assert torch.equal(song.latent, plain.latent)
    assert bool(song.told) == (spare > 0)
    assert any(loaded) == (spare > 0)
    assert ("the card has no room for the model, the VAE and their work at once" in song.report) == (
        spare < 0
    )


def test_what_other_programs_hold_of_the_card_is_not_counted_on(
    pack, models, excerpts, run_song, listening, monkeypatch
):
    import comfy.model_management as mm

    monkeypatch.setattr(excerpts, "excerpt_bytes", lambda vae: MB)
    with pretend_gpu(128):
        assert run_song().told
        free = mm.get_free_memory

        def less(where=None, torch_free_too=False):
            left = free(where) - 120 * MB
            return (left, left) if torch_free_too else left

        with replaced(mm, get_free_memory=less):
            song = run_song()
    assert song.told == []
    assert "the card has no room" in song.report


def test_streamed_weights_are_never_beside_a_vae(run_song, plain_song, listening):
    plain = plain_song()
    with pretend_gpu(1024, state="NO_VRAM"):
        song = run_song()
    assert torch.equal(song.latent, plain.latent)
    assert song.told == []
    assert "Not heard while sampling: the card holds a part of the weights only." in song.report


@pytest.mark.parametrize("leaves", ["transformer", "vae"])
def test_excerpts_end_when_a_part_of_a_network_leaves_the_card(
    pack, run_song, plain_song, listening, monkeypatch, leaves
):
    module = pack.nodes.runs.excerpts
    hear = module.Excerpts.hear

    def heard(self, progress):
        if progress.done == 5:
            managed = self.vae if leaves == "vae" else self._transformer
            managed.patcher.partially_unload(torch.device("cpu"), managed.patcher.model_size() // 2)
        hear(self, progress)

    monkeypatch.setattr(module.Excerpts, "hear", heard)
    with pretend_gpu(1024):
        plain = plain_song()
        song = run_song()
    assert torch.equal(song.latent, plain.latent)
    assert [told["step"] for told in song.told] == [3, 4]
    assert "then no more: the card holds a part of the weights only." in song.report


def test_a_vae_on_another_device_is_not_used(pack, run_song, listening, monkeypatch):
    import comfy.model_management as mm

    with pretend_gpu(1024), replaced(mm, vae_device=lambda: torch.device("cpu")):
        song = run_song()
    assert song.told == []
    assert "the VAE computes on cpu, the model on cpu:0" in song.report


FAULTS = {
    "memory": (torch.OutOfMemoryError("Allocation on device"), "memory ran out"),
    "disk": (None, "the.flac cannot be written"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_run_goes_on_when_an_excerpt_cannot_be_made(
    pack, run_song, plain_song, listening, monkeypatch, fault
):
    error, words = FAULTS[fault]
    module, tries = pack.nodes.runs.excerpts, []
    error = error or pack.acestep_core.errors.FileError("the.flac cannot be written: no room.", "Make room.")
    place = "decode_tiled" if fault == "memory" else "encode_audio"
    plain, original = plain_song(), vars(module)[place]

    def failing(*given):
        tries.append(1)
        if len(tries) == 2:
            raise error
        return original(*given)

    monkeypatch.setattr(module, place, failing)
    song = run_song()
    assert torch.equal(song.latent, plain.latent)
    assert (len(tries), [told["step"] for told in song.told]) == (2, [3])
    assert f"Excerpts while sampling: 1, from 0 to 6 s, then no more: {words}" in song.report


def test_a_fault_of_ours_is_not_hidden(host, graph, run_graph, pack, listening, monkeypatch):
    def broken(*given):
        raise RuntimeError("shapes cannot be multiplied")

    monkeypatch.setattr(pack.nodes.runs.excerpts, "decode_tiled", broken)
    monkeypatch.setattr(pack.nodes.runs.excerpts, "SHARE", ALWAYS)
    song = task_graphs.text2music(graph, steps=STEPS)
    graph.change(song.sampler, preview_vae=song.load["vae"])
    assert "shapes cannot be multiplied" in run_graph(graph).error


def test_a_song_is_the_same_on_a_card_that_holds_one_network_at_a_time(run_song, plain_song, listening):
    plain = plain_song()
    with card_with_room_for(WHOLE):
        song = run_song()
    assert torch.equal(song.latent, plain.latent)


def test_a_short_run_with_the_usual_share_says_that_it_was_too_short(run_song, listening):
    song = run_song(share=1e-9)
    assert song.told == []
    assert "Not heard while sampling: the run was too short for an excerpt." in song.report
