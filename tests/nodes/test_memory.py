"""Results do not depend on how much of a network is on the card; a card that is full is told of, with what helps."""

from functools import partial
from operator import attrgetter

import pytest
import torch

from support.comfyui import task_graphs
from support.comfyui.fake_gpu import loaded_bytes, pretend_gpu, replaced
from support.comfyui.handles import tiny_handles
from support.comfyui.small_cards import MOST, NONE, SOME, WHOLE, card_with_room_for
from support.tiny import checkpoint as tiny_checkpoint

MB = 1024 * 1024
BRIEF = {"name": task_graphs.BRIEF_RECORDING}
TASKS = {
    "text2music": partial(task_graphs.text2music, seconds=task_graphs.BRIEF),
    "cover": partial(task_graphs.cover, **BRIEF),
    "repaint": task_graphs.repaint,
    "guided": partial(task_graphs.lego, **BRIEF),
    "planned": task_graphs.planned,
}
ENCODERS, TRANSFORMER, CODEC, VAE = "Encoders", "DiffusionTransformer", "AudioCodec", "Oobleck"
PLANNER = "PlannerNetwork"
MOSTLY_TABLES = {ENCODERS, PLANNER}  # their embeddings are nearly all of them
LOADERS = ("AceGraphLoad", "AceGraphLoadPlanner")


@pytest.fixture
def song_of(host, run_graph, short_texts):
    """song_of(task) -> all that a graph of the task makes: latents, audio, codes, conditions; pickers of its loaders."""
    task_graphs.record(host.base / "input")
    task_graphs.record(host.base / "input", task_graphs.BRIEF, task_graphs.BRIEF_RECORDING)

    def made(task, **pickers):
        graph = host.graph()
        TASKS[task](graph)
        for kind, node in task_graphs.nodes_of(graph).items():
            if kind in LOADERS:
                graph.change(node, **pickers)
        run_graph.executor.reset()  # so that a checkpoint of its own is loaded, on the devices of now
        done = run_graph(graph)
        assert done.success, done.error
        return [tensor for value in done.outputs.values() for tensor in tensors_in(value)]

    return made


def tensors_in(value):
    """Every tensor that travels on wires between nodes."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, dict):
        yield from (found for part in value.values() for found in tensors_in(part))
    elif isinstance(value, list | tuple):
        yield from (found for part in value for found in tensors_in(part))
    elif hasattr(value, "items") and isinstance(value.items, tuple):  # codes
        yield from value.items
    elif hasattr(value, "enc"):  # a condition
        yield value.enc


@pytest.fixture(scope="module")
def plain():
    """What each task gave without a card, kept for the tests of this file."""
    return {}


def expected(task, song_of, plain):
    if task not in plain:
        plain[task] = song_of(task)
    return plain[task]


def assert_same(first, second):
    assert len(first) == len(second) > 4
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("share", [WHOLE, MOST, SOME, NONE])
@pytest.mark.parametrize("task", TASKS)
def test_a_song_is_the_same_however_much_of_each_network_fits(song_of, plain, task, share):
    exact = expected(task, song_of, plain)
    with card_with_room_for(share) as loads:
        assert_same(song_of(task), exact)
    assert loads.alone
    largest = {name: max(shares) for name, shares in loads.shares.items()}
    assert largest.pop(VAE) == 1
    in_part = {ENCODERS} if share == MOST else set(largest) - MOSTLY_TABLES
    for name, loaded in largest.items():
        assert loaded <= share
        assert share not in (WHOLE, NONE) or loaded == round(share)
        assert share not in (MOST, SOME) or name not in in_part or loaded > 0


@pytest.mark.parametrize("task", TASKS)
def test_a_song_is_the_same_when_everything_leaves_the_card_between_nodes(song_of, plain, task):
    exact = expected(task, song_of, plain)
    with card_with_room_for(WHOLE, unload=True) as loads:
        assert_same(song_of(task), exact)
    assert loads.alone


@pytest.mark.slow
@pytest.mark.parametrize("task", ["cover", "planned"])
@pytest.mark.parametrize("state", ["LOW_VRAM", "NO_VRAM", "HIGH_VRAM"])
def test_a_song_is_the_same_under_every_memory_flag(song_of, plain, state, task):
    exact = expected(task, song_of, plain)
    with card_with_room_for(WHOLE, state) as loads:
        assert_same(song_of(task), exact)
    loaded = {name: max(shares) for name, shares in loads.shares.items()}
    streamed = state == "NO_VRAM"
    assert loaded[TRANSFORMER] == loaded[CODEC] == (0 if streamed else 1)
    assert task == "cover" or loaded[PLANNER] == loaded[TRANSFORMER]


@pytest.mark.slow
@pytest.mark.parametrize("task", ["cover", "planned"])
@pytest.mark.parametrize("weights", ["fp8_e4m3fn", "fp8_e5m2", "bf16"])
def test_small_weights_are_cast_alike_wherever_they_are(song_of, weights, task):
    with card_with_room_for(WHOLE):
        whole = song_of(task, weight_dtype=weights)
    for share in (MOST, SOME, NONE):
        with card_with_room_for(share):
            assert_same(song_of(task, weight_dtype=weights), whole)


# --------------------------------------------------------------------------------- a card that computes in fp32 alone
@pytest.fixture
def in_bf16(host, tmp_path):
    """The tiny checkpoint in bf16: what each loader picks for it."""
    folder = host.base / "models" / "acestep" / "in_bf16"
    folder.symlink_to(tiny_checkpoint.build(tmp_path, dtype=torch.bfloat16) / "official")
    parts = {"model": "acestep-v15-turbo", "text_encoder": "Qwen3-Embedding-0.6B", "vae": "vae"}
    model = {name: f"{folder.name}/{part}" for name, part in parts.items()}
    yield {
        "AceGraphLoad": {**model, "weight_dtype": "auto"},
        "AceGraphLoadPlanner": {
            "planner": f"{folder.name}/{tiny_checkpoint.PLANNER_FOLDER}",
            "weight_dtype": "auto",
        },
    }
    folder.unlink()


@pytest.mark.slow
@pytest.mark.parametrize("task", ["cover", "planned"])
def test_small_weights_stay_small_where_fp32_is_computed_and_sound_like_large_ones(
    host, run_graph, pack, monkeypatch, in_bf16, short_texts, task
):
    import comfy.model_management as mm

    sizes, loaded = {}, pack.nodes.host.runtime.Managed.loaded

    def noted(managed, room):
        sizes[type(managed.network).__name__] = managed.patcher.model_size()
        return loaded(managed, room)

    monkeypatch.setattr(pack.nodes.host.runtime.Managed, "loaded", noted)
    task_graphs.record(host.base / "input")
    task_graphs.record(host.base / "input", task_graphs.BRIEF, task_graphs.BRIEF_RECORDING)

    def made():
        graph = host.graph()
        TASKS[task](graph)
        for kind, node in task_graphs.nodes_of(graph).items():
            graph.change(node, **in_bf16.get(kind, {}))
        run_graph.executor.reset()
        sizes.clear()
        done = run_graph(graph)
        assert done.success, done.error
        return [tensor for value in done.outputs.values() for tensor in tensors_in(value)], dict(sizes)

    with pretend_gpu(64):
        monkeypatch.setattr(mm, "should_use_bf16", lambda *given, **more: False)
        small, small_sizes = made()
        precision = pack.nodes.runs.precision
        monkeypatch.setattr(precision, "storage", lambda role, in_file, wanted, computing: computing)
        large, large_sizes = made()
    assert_same(small, large)
    assert set(small_sizes) == set(large_sizes) > {ENCODERS, TRANSFORMER, VAE}
    for name, size in small_sizes.items():
        assert size <= (1 if name == VAE else 0.6) * large_sizes[name]


# ------------------------------------------------------------------------------- a network that is never split
@pytest.fixture
def vae(pack, models):
    """Makes the VAE's patcher anew, on the card of now."""
    return lambda: tiny_handles(pack, models).vae.vae


def resident(vae):
    return vae.patcher.loaded_size() / vae.patcher.model_size()


@pytest.mark.parametrize("state", ["NORMAL_VRAM", "LOW_VRAM", "NO_VRAM"])
def test_the_vae_is_there_as_a_whole_even_after_a_part_of_it_had_to_leave(vae, state):
    with pretend_gpu(64, state=state) as device:
        managed = vae()
        managed.loaded(MB)
        assert resident(managed) == 1
        managed.patcher.partially_unload(torch.device("cpu"), managed.patcher.model_size() // 2)
        assert 0 < resident(managed) < 1
        managed.loaded(MB)
        assert resident(managed) == 1
        assert loaded_bytes(device) == managed.patcher.model_size()


def test_a_vae_that_does_not_fit_says_so_and_takes_nothing(vae, pack, monkeypatch):
    with pretend_gpu(64) as device:
        managed, move = vae(), torch.nn.Module.to

        def to(module, where):
            if where == device:
                raise torch.OutOfMemoryError
            return move(module, where)

        with monkeypatch.context() as patch:
            patch.setattr(torch.nn.Module, "to", to)
            with (
                pytest.raises(pack.acestep_core.errors.DeviceFullError, match="do not fit"),
                managed.at_work(MB),
            ):
                pass
        assert resident(managed) == loaded_bytes(device) == 0
        managed.loaded(MB)
        assert resident(managed) == 1


@pytest.mark.parametrize("share", [WHOLE, MOST, SOME, NONE])
def test_steps_may_be_recorded_where_the_whole_network_is_in_place(host, run_graph, pack, monkeypatch, share):
    """And only there: what a layer fetches or changes at each use is in no recording."""
    asked = []
    plain = pack.nodes.runs.sampling.SamplerParts

    def parts(*given, record):
        asked.append(record)
        return plain(*given, record=record)

    monkeypatch.setattr(pack.nodes.runs.sampling, "SamplerParts", parts)
    graph = host.graph()
    task_graphs.text2music(graph)
    with card_with_room_for(share):
        run_graph.executor.reset()
        done = run_graph(graph)
    assert done.success, done.error
    assert asked == [share == WHOLE]


def test_a_weight_that_is_changed_at_each_use_is_not_in_place(vae):
    managed = vae()
    managed.loaded(MB)
    assert managed.is_settled
    layer = next(layer for layer in managed.network.modules() if not list(layer.children()))
    layer.weight_function = [torch.neg]
    assert not managed.is_settled


def test_conditions_wait_where_results_wait(host, run_graph):
    graph = host.graph()
    song = task_graphs.text2music(graph)
    with pretend_gpu(64):
        import comfy.model_management as mm

        with replaced(mm, intermediate_device=lambda: torch.device("meta")):
            done = run_graph(graph)
    (condition,) = done[graph.prompt[song.sampler.id]["inputs"]["conditions"]]
    assert condition.enc.is_meta


# ------------------------------------------------------------------------------------------ a card that is full
FULL_AT = {  # node -> where its work runs out of memory
    "AceGraphEncodeConditions": ("acestep_core.text.conditions.Conditioner", "encode"),
    "AceGraphSampler": ("nodes.runs.sampling", "generate_song"),
    "AceGraphCodesToLatent": ("acestep_core.networks.audio_codes.AudioCodec", "hints"),
    "AceGraphOobleckDecode": ("nodes.vae", "decode_tiled"),
    "AceGraphPlan": ("acestep_core.planner.generation", "Decoder"),
    "AceGraphComposeCodes": ("acestep_core.planner.generation", "Decoder"),
}


@pytest.mark.parametrize("kind", FULL_AT)
def test_what_runs_out_of_memory_says_so_and_comfyui_unloads_everything(
    host, run_graph, pack, monkeypatch, kind
):
    import comfy.model_management as mm

    def full(*given, **more):
        raise torch.OutOfMemoryError("Allocation on device")

    place, name = FULL_AT[kind]
    monkeypatch.setattr(attrgetter(place)(pack), name, full)
    graph = host.graph()
    task_graphs.planned(graph)
    done = run_graph(graph)
    assert not done.success
    assert "and its work do not fit into the memory" in done.error
    assert mm.current_loaded_models == []
