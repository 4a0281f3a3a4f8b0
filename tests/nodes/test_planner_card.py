"""The planner on cards of any size: the same numbers however little of it fits, and one wait per token."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from support.comfyui import models as comfy_models
from support.comfyui.fake_gpu import Watch, fake_gpu, pretend_gpu, replaced
from support.reference.planner import CODES, END, SIZES

PROMPT, NEGATIVE = [7, 3, 80, 22, 5, 61, 13], [4, 44, 8]
GIANT = {
    "vocab_size": 217_204,
    "hidden_size": 2048,
    "intermediate_size": 6144,
    "num_hidden_layers": 4,
    "num_attention_heads": 16,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "rms_norm_eps": 1e-6,
    "rope_theta": 1e6,
}
GIANT_CODES = range(151_669, 215_669)


@pytest.fixture
def core(pack):
    """The core as ComfyUI knows it."""
    return pack.acestep_core


def filled(network):
    generator = torch.Generator().manual_seed(3)
    for name, weight in network.named_parameters():
        noise = torch.randn(weight.shape, generator=generator)
        weight.requires_grad_(False).copy_(1 + 0.1 * noise if "norm" in name else 0.3 * noise)
    return network


def guide_of(*steps):
    """Forced tokens and choice points in turn."""
    left = list(steps)

    def take(token):
        left[0] = left[0][1:] if isinstance(left[0], tuple) else ()
        if not left[0]:
            left.pop(0)

    walk = SimpleNamespace(done=False, take=lambda token: (take(token), update()))
    walk.forced = lambda: left[0] if isinstance(left[0], tuple) else ()
    walk.choice = lambda: left[0]

    def update():
        walk.done = not left

    return walk


def written(core, network, device):
    """Codes of two songs, then a text, flattened."""
    generation, point = core.planner.generation, core.planner.grammar.ChoicePoint
    params, prompts = core.planner.token_sampling.SamplingParams(penalty=1.2), prompts_of(core)
    options = generation.Options(params, [1, 2], device, torch.float32)
    songs = generation.compose_codes(network, prompts, generation.CodeTokens(CODES, END), 9, options)
    some, few = point(torch.arange(10, 40)), point(torch.tensor([0, 89]))
    guide = guide_of((1, 2), some, some, (3,), few, some)
    text = generation.generate_text(network, prompts, guide, 30, replace(options, seeds=[5]))
    return [song.tolist() for song in songs], text


def prompts_of(core):
    return core.planner.generation.Prompts(PROMPT, NEGATIVE)


@pytest.mark.parametrize(("total_mb", "share"), [(64, 1.0), (1.02, 0.5), (0.001, 0.0)])
def test_what_is_written_does_not_depend_on_how_much_of_the_planner_fits(core, pack, total_mb, share):
    runtime = pack.nodes.host.runtime
    sizes = core.networks.qwen3.Qwen3Sizes(**{name: getattr(SIZES, name) for name in GIANT})
    plain = filled(core.planner.network.PlannerNetwork(sizes, torch.nn))
    expected = written(core, plain, None)
    with pretend_gpu(total_mb, inference_mb=0.98 if share == 0.5 else 0) as device:
        part = runtime.Managed(
            filled(core.planner.network.PlannerNetwork(sizes, runtime.OPS)),
            runtime.Role.TRANSFORMER,
            torch.float32,
        )
        network = part.loaded(0)
        resident = part.patcher.loaded_size() / part.patcher.model_size()
        assert (resident == 1.0, resident == 0.0) == (share == 1.0, share == 0.0)
        assert written(core, network, device) == expected


@pytest.mark.slow
@pytest.mark.parametrize("total_mb", [4 * 1024, 1])
@pytest.mark.parametrize("sparse", [0, 4, 1e9])  # every choice, some, and none is made by the whole table
def test_a_text_waits_for_its_choices_and_leaves_nothing_elsewhere(core, pack, total_mb, sparse):
    runtime = pack.nodes.host.runtime
    with (
        fake_gpu(total_mb) as device,
        Watch(device) as watch,
        replaced(core.planner.generation, SPARSE=sparse),
    ):
        planner = core.planner.network.PlannerNetwork(
            core.networks.qwen3.Qwen3Sizes(**GIANT), runtime.OPS
        ).to(torch.bfloat16)
        part = runtime.Managed(planner.requires_grad_(False), runtime.Role.PLANNER, torch.bfloat16)
        network, point = part.loaded(0), core.planner.grammar.ChoicePoint
        free, few = point(torch.arange(0, 151_643)), point(torch.tensor([3, 90_000]))
        guide = guide_of((1, 2), free, few, (5,), free, free)
        params = core.planner.token_sampling.SamplingParams(penalty=1.1, top_k=50)
        options = core.planner.generation.Options(params, [5], device, torch.bfloat16)
        text = core.planner.generation.generate_text(network, prompts_of(core), guide, 30, options)
        assert len(text) == 7
        assert watch.asked == 4
        assert network.embed_tokens.weight.device != device or not watch.fetched


@pytest.mark.parametrize("total_mb", [4 * 1024, 1])
def test_composing_in_a_comfyui_graph_gives_codes_that_wait_where_results_wait(core, pack, models, total_mb):
    folder = models / "turbo" / "official" / comfy_models.PLANNER_FOLDER
    tokenizer = core.text.tokenizer.TextTokenizer.from_folder(folder)
    runtime = pack.nodes.host.runtime
    with fake_gpu(total_mb) as device, Watch(device):
        planner = core.planner.network.PlannerNetwork(
            core.networks.qwen3.Qwen3Sizes(**GIANT), runtime.OPS
        ).to(torch.bfloat16)
        part = runtime.Managed(planner.requires_grad_(False), runtime.Role.PLANNER, torch.bfloat16)
        parts = core.planner.planner.Planner(planner, tokenizer, None)  # codes need no grammar
        handle = pack.nodes.wires.sockets.PlannerHandle(part, parts, "giant")
        fields = ("slow piano", "la", False, "auto", 0, "auto", "auto", 1.0, 3, 0)
        codes = pack.nodes.compose.ComposeCodes.execute(handle, *fields).args[0]
        assert part.patcher.load_device == device
        assert [(song.shape, song.device.type) for song in codes.items] == [((5,), "cpu")] * 3


@pytest.mark.parametrize("total_mb", [4 * 1024, 1024, 1])
@pytest.mark.parametrize("weights", [torch.bfloat16, torch.float8_e4m3fn])
def test_composing_waits_once_per_token_and_leaves_nothing_elsewhere(core, pack, total_mb, weights):
    runtime = pack.nodes.host.runtime
    with fake_gpu(total_mb) as device, Watch(device) as watch:
        planner = core.planner.network.PlannerNetwork(
            core.networks.qwen3.Qwen3Sizes(**GIANT), runtime.OPS
        ).to(weights)
        part = runtime.Managed(planner.requires_grad_(False), runtime.Role.TRANSFORMER, torch.bfloat16)
        network, generation = part.loaded(0), core.planner.generation
        params = core.planner.token_sampling.SamplingParams(penalty=1.1, top_k=50)
        options = generation.Options(params, [1, 2, 3], device, torch.bfloat16)
        tokens = generation.CodeTokens(GIANT_CODES)
        songs = generation.compose_codes(network, prompts_of(core), tokens, 3, options)
        codes = watch.fetched if network.embed_tokens.weight.device == device else watch.fetched[2:]
        steps = [shape for shape in codes if shape != (6, 1)]  # ids go to the table where that lies elsewhere
        assert steps == [(3,)] * 3
        assert watch.asked == 0
        assert [tuple(song.shape) for song in songs] == [(3,)] * 3


def sent_to_card(core, pack, count):
    """How often something is sent while two songs of so many codes are written."""
    runtime = pack.nodes.host.runtime
    with fake_gpu(4096) as device, Watch(device) as watch:
        planner = core.planner.network.PlannerNetwork(
            core.networks.qwen3.Qwen3Sizes(**GIANT), runtime.OPS
        ).to(torch.bfloat16)
        part = runtime.Managed(planner.requires_grad_(False), runtime.Role.PLANNER, torch.bfloat16)
        network, generation = part.loaded(0), core.planner.generation
        watch.sent.clear()
        options = generation.Options(seeds=[1, 2], device=device, dtype=torch.bfloat16)
        tokens = generation.CodeTokens(GIANT_CODES)
        generation.compose_codes(network, prompts_of(core), tokens, count, options)
        return len(watch.sent)


def test_nothing_is_sent_to_the_card_for_a_code(core, pack):
    assert sent_to_card(core, pack, 2) == sent_to_card(core, pack, 9) > 0


def test_a_table_that_has_to_be_cast_is_cast_once_and_counted(core, pack):
    runtime, sizes = pack.nodes.host.runtime, core.networks.qwen3.Qwen3Sizes(**GIANT)
    for stored, rows in ((torch.float8_e4m3fn, core.networks.config.TEXT_ROWS), (torch.bfloat16, 0)):
        with fake_gpu(4096) as device, Watch(device):
            planner = core.planner.network.PlannerNetwork(sizes, runtime.OPS).to(stored)
            part = runtime.Managed(planner.requires_grad_(False), runtime.Role.PLANNER, torch.bfloat16)
            handle = pack.nodes.wires.sockets.PlannerHandle(
                part, core.planner.planner.Planner(planner, None, None), "giant"
            )
            counted = pack.nodes.runs.planning.bytes_for(handle, 1, 100)
            assert counted == core.networks.costs.planning_bytes(sizes, 1, 100, torch.bfloat16, rows)
            logits = core.planner.generation.AllowedLogits(planner, torch.device("cpu"), torch.bfloat16)
            sets = [torch.arange(first, 151_640) for first in (0, 7, 30)]
            storages = {logits._prepared(ids)[0].untyped_storage()._cdata for ids in sets}
            assert len(storages) == 1
