"""Load LoRA in a real ComfyUI: the same weights as from Python alone, however much of the network is on the card."""

import copy
import gc
import logging
import shutil
import sys
import weakref
from importlib import import_module

import pytest
import torch
from safetensors.torch import load_file, save_file

from support.comfyui import task_graphs
from support.comfyui.fake_gpu import loaded_bytes
from support.comfyui.giant_handles import SHALLOW
from support.comfyui.giant_nodes import giant_cards
from support.comfyui.handles import core, tiny_handles
from support.comfyui.small_cards import MOST, NONE, SOME, WHOLE, card_with_room_for
from support.reference.adapter_kinds import LYCORIS, PEFT
from support.reference.adapter_oracles import oracles
from support.tiny import adapters

MB = 1024 * 1024
MODULES = [
    *adapters.modules(4, (*adapters.ATTENTION, *adapters.MLP)),
    "condition_embedder",
    "time_embed.linear_1",
]
FIRST, SECOND = "tests/first.safetensors", "tests/second.safetensors"
KINDS = {
    **{f"PEFT {name}": write for name, write in PEFT.items()},
    **{f"LyCORIS {n}": w for n, w in LYCORIS.items()},
}
STACKED = ("PEFT LoRA", "PEFT DoRA", "LyCORIS LoKr", "LyCORIS diag-OFT, rescaled")


@pytest.fixture(scope="module")
def loras(host):
    """A folder of ComfyUI's folder for LoRAs, gone afterwards."""
    folder = host.base / "models" / "loras" / "tests"
    folder.mkdir()
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def plain(pack, models):
    """The transformer as Python alone has it, which nothing patches."""
    checkpoint = core(pack, "checkpoints.layouts").open_checkpoint(models / "turbo" / "official")
    return core(pack, "checkpoints.load").load_transformer(checkpoint)


@pytest.fixture(scope="module")
def alone(pack, plain):
    """From Python alone: a name in the list, a strength and scales -> the transformer."""
    with_adapter = core(pack, "adapters.adapted").with_adapter
    path_of = pack.nodes.host.folders.adapter_of
    return lambda adapter, *more, on=plain: with_adapter(on, path_of(adapter), *more)


@pytest.fixture(scope="module")
def handle(pack, models):
    """The model of Load ACE-Step, on the CPU."""
    return tiny_handles(pack, models).model


def transformer_alone(pack, models, stored=torch.float32):
    """A model that has no more than a transformer, on the device of now; it is made in a moment."""
    load, runtime, sockets = pack.nodes.load, pack.nodes.host.runtime, pack.nodes.wires.sockets
    checkpoint = core(pack, "checkpoints.layouts").open_checkpoint(models / "turbo" / "official")
    network = core(pack, "checkpoints.load").load_transformer(checkpoint, runtime.OPS, stored)
    managed = runtime.Managed(network, runtime.Role.TRANSFORMER, torch.float32)
    files = checkpoint.model_files()
    return sockets.ModelHandle(
        managed, None, files.config, files.variant, load.Silence(files.silence), "tiny"
    )


@pytest.fixture(scope="module")
def shapes(plain):
    return {name: tuple(weight.shape) for name, weight in plain.state_dict().items()}


@pytest.fixture(scope="module")
def spellings(loras, shapes):
    """Every spelling in ComfyUI's folder; what each is called in the list."""
    lora, listed = adapters.random_lora(shapes, MODULES), {}
    for number, name in enumerate(adapters.SPELLINGS):
        path = adapters.write_spelling(loras / f"spelling_{number}", name, lora)
        listed[name] = f"tests/{path.name}/" if path.is_dir() else f"tests/{path.parent.name}/{path.name}"
    return listed


@pytest.fixture(scope="module")
def kinds(loras, plain):
    """Writes an adapter of a kind with the package that invented it; what it is called in the list."""
    written = {}

    def listed(name):
        if name not in written:
            folder, peft = loras / f"kind_{len(written)}", name.startswith("PEFT")
            folder.mkdir()
            with torch.inference_mode(False):
                KINDS[name](plain, folder if peft else folder / "adapter.safetensors")
            written[name] = f"tests/{folder.name}/" + ("" if peft else "adapter.safetensors")
        return written[name]

    return listed


@pytest.fixture
def two(loras, shapes):
    """Two LoRAs of ComfyUI's spelling."""
    for name, seed in ((FIRST, 1), (SECOND, 2)):
        lora = adapters.random_lora(shapes, MODULES, seed=seed)
        adapters.write_spelling(loras, "ComfyUI", lora).rename(loras.parent / name)
    return FIRST, SECOND


def load_lora(pack, adapter, strength=1.0, **inputs):
    """What the node gives: model, text encoder, planner, report."""
    return pack.nodes.lora.LoadAdapter.execute(adapter=adapter, strength=strength, **inputs).result


def answer(network):
    """What a transformer makes of fixed inputs."""
    generator = torch.Generator().manual_seed(5)
    noise, context = (torch.randn(1, 160, width, generator=generator) for width in (64, 128))
    words = torch.randn(9, network.condition_embedder.weight.shape[1], generator=generator)
    with torch.inference_mode():
        modulation = network.modulations(torch.tensor([0.7]))[0]
        attended = sys.modules[type(network).__module__].CrossAttended(network.key_values([words]))
        return network(noise, context, modulation, attended, network.positions(160, noise)).cond


def assert_close(ours, theirs, atol=5e-5):
    torch.testing.assert_close(ours, theirs, atol=atol + host_rounding(), rtol=0)


def host_rounding():
    """What newer hosts lose: they hand a weight over in fp16 to be changed, where the card computes in it."""
    management = import_module("comfy.model_management")
    dtype_of = getattr(management, "lora_compute_dtype", None)
    return 5e-3 if dtype_of and dtype_of(management.get_torch_device()) is torch.float16 else 0.0


# --------------------------------------------------------------------------------------- equal by both ways
@pytest.mark.parametrize("name", adapters.SPELLINGS)
def test_every_spelling_is_listed_and_gives_the_weights_that_python_alone_gives(
    pack, host, handle, alone, spellings, name
):
    options = host.info("AceGraphLoadAdapter")["input"]["required"]["adapter"][1]["options"]
    assert spellings[name] in options
    model, *_, report = load_lora(pack, spellings[name], model=handle)
    wanted = alone(spellings[name]).state_dict()
    for key, weight in model.transformer.loaded(MB).state_dict().items():
        assert torch.equal(weight, wanted[key]), key
    assert (
        f"Changes {len(MODULES)} weights of the transformer: self_attn 16, cross_attn 16, mlp 12, other 2."
        in report
    )
    assert ("alpha: scale 1" in report) == (name == "ai-toolkit")


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_the_same_in_whole_and_answers_alike_in_part(
    pack, models, handle, alone, plain, kinds, kind
):
    adapter = kinds(kind)
    wanted = alone(adapter, 0.7)
    model, *_ = load_lora(pack, adapter, 0.7, model=handle)
    weights = wanted.state_dict()
    for key, weight in model.transformer.loaded(MB).state_dict().items():
        assert torch.equal(weight, weights[key]), key
    assert (answer(wanted) - answer(plain)).abs().max() > 1e-3
    with card_with_room_for(SOME) as loads:
        model, *_ = load_lora(pack, adapter, 0.7, model=transformer_alone(pack, models))
        assert_close(answer(model.transformer.loaded(MB)), answer(wanted))
    (loaded,) = loads.shares["DiffusionTransformer"]
    assert 0 < loaded < 1


@pytest.mark.parametrize("kind", ["PEFT DoRA", "LyCORIS LoKr", "PEFT OFT", "LyCORIS diag-OFT, rescaled"])
def test_every_strength_of_a_kind_is_a_multiple_of_its_change_also_in_part(
    pack, models, alone, plain, kinds, kind
):
    adapter, before = kinds(kind), plain.state_dict()
    weights = {strength: alone(adapter, strength) for strength in (-1.0, 1.0, 2.0)}
    for key, weight in before.items():
        once = weights[1.0].state_dict()[key].double() - weight.double()
        for strength, network in weights.items():
            moved = network.state_dict()[key].double() - weight.double()
            torch.testing.assert_close(moved, strength * once, atol=1e-6, rtol=0)
    with card_with_room_for(SOME):
        handle = transformer_alone(pack, models)
        for strength in (-1.0, 2.0):
            model, *_ = load_lora(pack, adapter, strength, model=handle)
            assert_close(answer(model.transformer.loaded(MB)), answer(weights[strength]))


@pytest.mark.parametrize("kind", ["PEFT LoRA", "PEFT DoRA"])
def test_a_model_answers_as_pefts_own_module_does(pack, handle, plain, kinds, kind):
    adapter = kinds(kind)
    with torch.inference_mode(False), oracles():
        import peft

        folder = str(pack.nodes.host.folders.adapter_of(adapter).parent)
        wrapped = peft.PeftModel.from_pretrained(copy.deepcopy(plain), folder)
    theirs = answer(wrapped.base_model.model)
    model, *_ = load_lora(pack, adapter, model=handle)
    assert (theirs - answer(plain)).abs().max() > 0.01
    assert_close(answer(model.transformer.loaded(MB)), theirs)


STOCK = {  # what ComfyUI's own classes make of an adapter: kind -> layer, and what may go once it is right
    "PEFT LoRA": ("layers.0.self_attn.q_proj", ""),
    "PEFT DoRA": ("layers.0.self_attn.q_proj", "acestep_core.adapters.formulas.Decomposed with LoRA"),
    "LyCORIS LoKr, conv whole": ("proj_in.1", "the reshaped first factor in formulas.Kronecker.difference"),
}


@pytest.mark.parametrize(("kind", "layer", "ours"), [(kind, *more) for kind, more in STOCK.items()])
def test_what_comfyuis_own_classes_still_get_wrong(host, pack, plain, alone, kinds, kind, layer, ours):
    adapter, key = kinds(kind), f"{layer}.weight"
    spelt = f"base_model.model.{layer}" if kind.startswith("PEFT") else f"lycoris_{layer.replace('.', '_')}"
    file = load_file(pack.nodes.host.folders.adapter_of(adapter))
    named = {
        name.removeprefix(f"{spelt}."): tensor
        for name, tensor in file.items()
        if name.startswith(f"{spelt}.")
    }
    if kind.startswith("PEFT"):  # told as they can be told to ComfyUI
        named["alpha"] = torch.tensor(3.0)
    if (lengths := named.pop("lora_magnitude_vector", None)) is not None:
        named["dora_scale"] = lengths.unsqueeze(1)
    lora = host.module("comfy.lora")
    (patch,) = lora.load_lora({f"x.{name}": tensor for name, tensor in named.items()}, {"x": key}).values()
    before = plain.state_dict()[key].clone()
    theirs = lora.calculate_weight([(1.0, patch, 1.0, None, None)], before.clone(), key)
    wanted = alone(adapter).state_dict()[key]
    assert (wanted - before).norm() > 0.1 * before.norm()
    wrong = (theirs - wanted).norm() / (wanted - before).norm()
    assert wrong < 1e-5 if not ours else wrong > 0.01, (
        f"ComfyUI now loads {kind} right: {ours} may be deleted"
    )


@pytest.mark.parametrize("share", [WHOLE, MOST, SOME, NONE])
@pytest.mark.parametrize("strength", [-1.0, 0.5, 1.0, 2.0])
def test_strength_acts_alike_however_much_of_the_network_is_on_the_card(
    pack, models, alone, two, share, strength
):
    wanted = answer(alone(FIRST, strength))
    with card_with_room_for(share):
        handle = transformer_alone(pack, models)
        before = answer(handle.transformer.loaded(MB))
        model, *_ = load_lora(pack, FIRST, strength, model=handle)
        adapted = answer(model.transformer.loaded(MB))
        assert share == WHOLE or not model.transformer.is_settled  # weights are changed at each use
        assert torch.equal(answer(handle.transformer.loaded(MB)), before)
    assert (adapted - before).abs().max() > 0.1
    assert_close(adapted, wanted)


@pytest.mark.parametrize("state", ["LOW_VRAM", "NO_VRAM", "HIGH_VRAM"])
def test_memory_flags_change_nothing(pack, models, alone, two, state):
    with card_with_room_for(WHOLE, state):
        model, *_ = load_lora(pack, FIRST, model=transformer_alone(pack, models))
        assert_close(answer(model.transformer.loaded(MB)), answer(alone(FIRST)))


@pytest.mark.parametrize("share", [WHOLE, SOME])
def test_without_strength_every_weight_stays_to_the_bit(pack, models, two, share):
    with card_with_room_for(share):
        handle = transformer_alone(pack, models)
        before = answer(handle.transformer.loaded(MB))
        model, *_ = load_lora(pack, FIRST, 0.0, model=handle)
        assert torch.equal(answer(model.transformer.loaded(MB)), before)
        assert not model.transformer.patcher.patches


@pytest.mark.parametrize("share", [SOME])
@pytest.mark.parametrize("second", STACKED)
@pytest.mark.parametrize("first", STACKED)
def test_a_stack_is_one_after_the_other(pack, models, alone, kinds, first, second, share):
    names = kinds(first), kinds(second)
    wanted = answer(alone(names[1], -0.4, on=alone(names[0], 0.8)))
    with card_with_room_for(share):
        model, *_ = load_lora(pack, names[0], 0.8, model=transformer_alone(pack, models))
        model, *_, report = load_lora(pack, names[1], -0.4, model=model)
        assert_close(answer(model.transformer.loaded(MB)), wanted)
    matters = not all(kind in ("PEFT LoRA", "LyCORIS LoKr") for kind in (first, second))
    assert ("Their order matters." in report) == matters


def test_handles_take_turns_on_one_network_and_the_base_keeps_its_memory(pack, handle, plain, alone, two):
    first, *_ = load_lora(pack, FIRST, model=handle)
    again, *_ = load_lora(pack, FIRST, 2.0, model=handle)
    both, *_ = load_lora(pack, SECOND, 0.5, model=first)
    wanted = {
        handle: plain,
        first: alone(FIRST),
        again: alone(FIRST, 2.0),
        both: alone(SECOND, 0.5, on=alone(FIRST)),
    }
    where = {name: weight.data_ptr() for name, weight in handle.transformer.loaded(MB).state_dict().items()}
    for model in (handle, first, handle, again, both, first, both, handle):
        assert_close(answer(model.transformer.loaded(MB)), answer(wanted[model]))
    network = handle.transformer.loaded(MB)
    assert {name: weight.data_ptr() for name, weight in network.state_dict().items()} == where
    assert torch.equal(answer(network), answer(plain))


@pytest.mark.parametrize("share", [WHOLE, SOME, NONE])
def test_handles_take_turns_however_much_of_the_network_is_on_the_card(
    pack, models, plain, alone, two, share
):
    with card_with_room_for(share):
        base = transformer_alone(pack, models)
        first, *_ = load_lora(pack, FIRST, model=base)
        again, *_ = load_lora(pack, FIRST, 2.0, model=base)
        both, *_ = load_lora(pack, SECOND, 0.5, model=first)
        wanted = {
            first: alone(FIRST),
            again: alone(FIRST, 2.0),
            both: alone(SECOND, 0.5, on=alone(FIRST)),
        }
        before = answer(base.transformer.loaded(MB))
        assert_close(before, answer(plain))
        for model in (first, base, again, both, base):
            found = answer(model.transformer.loaded(MB))
            if model is base:
                assert torch.equal(found, before)
            else:
                assert_close(found, answer(wanted[model]))


def test_taking_an_adapter_away_again_leaves_the_base(pack, handle, plain, two):
    model, *_ = load_lora(pack, FIRST, model=handle)
    model, *_ = load_lora(pack, FIRST, -1.0, model=model)
    assert_close(answer(model.transformer.loaded(MB)), answer(plain))


@pytest.mark.parametrize(("weights", "share_lost"), [("bfloat16", 0.01), ("float8_e4m3fn", 0.1)])
@pytest.mark.parametrize("share", [WHOLE, SOME, NONE])
def test_small_weights_are_changed_in_fp32_and_stay_small(
    pack, models, alone, plain, two, weights, share_lost, share
):
    key, dtype = "layers.0.self_attn.q_proj.weight", getattr(torch, weights)
    x = torch.randn(5, 48, generator=torch.Generator().manual_seed(0))
    exact = x @ alone(FIRST).state_dict()[key].T
    with card_with_room_for(share):
        handle = transformer_alone(pack, models, dtype)
        model, *_ = load_lora(pack, FIRST, model=handle)
        layer = model.transformer.loaded(MB).layers[0].self_attn.q_proj
        assert layer.weight.dtype is dtype
        with torch.inference_mode():
            lost = (layer(x) - exact).norm() / exact.norm()
    unchanged = (x @ plain.state_dict()[key].T - exact).norm() / exact.norm()
    assert lost < share_lost < 0.5 * unchanged


def test_a_model_for_comfyuis_own_samplers_keeps_the_adapter(pack, handle, alone, two):
    model, *_ = load_lora(pack, FIRST, model=handle)
    patcher = pack.nodes.host.native_model.wired(model.transformer, False, 3.0)
    assert len(patcher.patches) == len(MODULES)
    sys.modules["comfy.model_management"].load_models_gpu([patcher], memory_required=MB)
    key = "layers.0.self_attn.q_proj.weight"
    assert torch.equal(handle.transformer.network.state_dict()[key], alone(FIRST).state_dict()[key])
    handle.transformer.loaded(MB)


# ------------------------------------------------------------------------------------- other networks, scales
def test_scales_of_groups_and_layers(pack, handle, alone, two):
    scales = core(pack, "adapters.scales")
    wanted = alone(FIRST, 0.8, scales.AdapterScales(0.5, 0.0, -1.0, 2.0, scales.layers_of("1: 0, 2-3: 0.5")))
    model, *_ = load_lora(
        pack,
        FIRST,
        0.8,
        model=handle,
        self_attn=0.5,
        cross_attn=0.0,
        mlp=-1.0,
        other=2.0,
        layers="1: 0, 2-3: 0.5",
    )
    assert_close(answer(model.transformer.loaded(MB)), answer(wanted))


def test_one_file_reaches_every_network_that_is_wired(pack, host, run_graph, loras):
    keys = {
        "diffusion_model.decoder.layers.0.self_attn.q_proj.diff": torch.full((64, 48), 0.5),
        "diffusion_model.encoder.text_projector.diff": torch.full((48, 16), 0.5),
        "diffusion_model.detokenizer.proj_out.diff": torch.full((64, 48), 0.5),
        "text_encoder.layers.0.mlp.up_proj.diff": torch.full((40, 16), 0.5),
        "model.layers.0.mlp.up_proj.diff": torch.full((40, 16), 0.5),
    }
    save_file(keys, loras / "everywhere.safetensors")
    graph = host.graph()
    load = task_graphs.opened(graph)
    wires = {name: load[name] for name in ("model", "text_encoder")}
    adapted = graph.add(
        "AceGraphLoadAdapter",
        planner=task_graphs.woken(graph),
        adapter="tests/everywhere.safetensors",
        **wires,
    )
    for output in ("model", "text_encoder", "planner", "report"):
        graph.add("PreviewAny", source=adapted[output])
    done = run_graph(graph)
    assert done.success, done.error
    model, text, planner = (done[adapted[name]] for name in ("model", "text_encoder", "planner"))
    changed = (
        (model.transformer, "layers.0.self_attn.q_proj.weight"),
        (model.codec, "detokenizer.proj_out.weight"),
        (text.encoders, "condition_encoder.text_projector.weight"),
        (text.encoders, "text.model.layers.0.mlp.up_proj.weight"),
        (planner.managed, "layers.0.mlp.up_proj.weight"),
    )
    before = [managed.network.state_dict()[key].clone() for managed, key in changed]
    for (managed, key), weight in zip(changed, before, strict=True):
        assert_close(managed.loaded(MB).state_dict()[key], weight + 0.5, 1e-6)
    for handle in (model, text, planner):
        assert [str(applied) for applied in handle.adapters] == ["tests/everywhere x 1"]


def test_what_is_for_others_is_said_and_leaves_a_network_alone(pack, handle, loras):
    keys = {
        "decoder.layers.0.self_attn.q_proj.diff": torch.ones(64, 48),
        "encoder.text_projector.diff": torch.ones(48, 16),
    }
    save_file(keys, loras / "two.safetensors")
    model, *_, report = load_lora(pack, "tests/two.safetensors", model=handle)
    assert "Layers for the condition encoder, which is not connected here: 1." in report
    assert model.codec.patcher.patches == {}


def test_what_is_not_used_is_told_and_logged_and_so_is_what_a_file_says_of_itself(
    host, run_graph, loras, caplog
):
    keys = {
        "decoder.layers.0.self_attn.q_proj.diff": torch.ones(64, 48),
        "decoder.layers.0.self_attn.k_proj.diff_b": torch.ones(48),
        "decoder.scale_shift_table.diff": torch.ones(1, 2, 48),
        "model.embed_tokens.diff": torch.ones(4, 16),
        "nobody.knows.this": torch.ones(1),
    }
    header = {
        "hot_step_trigger": "in my style",
        "hot_step_trigger_position": "prepend",
        "ss_base_model_version": "acestep-v15-base",
    }
    save_file(keys, loras / "odd.safetensors", metadata=header)
    graph = host.graph()
    adapted = graph.add(
        "AceGraphLoadAdapter",
        model=task_graphs.opened(graph)["model"],
        planner=task_graphs.woken(graph),
        adapter="tests/odd.safetensors",
    )
    graph.add("PreviewAny", source=adapted["report"])
    with caplog.at_level(logging.WARNING, logger="acestep-graph"):
        done = run_graph(graph)
    assert done.success, done.error
    report = done[adapted["report"]]
    lines = report.split("\n")
    (unused,) = (line for line in lines if line.startswith("Not used: 4 ("))
    for name_or_reason in (
        *("decoder.layers.0.self_attn.k_proj.bias", "decoder.scale_shift_table", "and 1 more"),
        *("no adapter that is known", "a parameter of no layer", "this layer has no bias"),
        "a table that the planner reads row by row",
    ):
        assert name_or_reason in unused
    assert "It is called by writing into the caption: in my style (prepend)." in lines
    assert "It says that it was trained on acestep-v15-base." in lines
    assert "Changes 1 weights of the transformer: self_attn 1." in lines
    logged = [record.getMessage() for record in caplog.records if record.name == "acestep-graph"]
    assert logged == [f"tests/odd: {unused}"]


# --------------------------------------------------------------------------------------------- in a graph
def song(graph, strengths=(), load=None, **inputs):
    """text2music with adapters one after the other."""
    made = task_graphs.text2music(graph)
    for adapter, strength in strengths:
        node = graph.add(
            "AceGraphLoadAdapter",
            model=graph.prompt[made.sampler.id]["inputs"]["model"],
            adapter=adapter,
            strength=strength,
            **inputs,
        )
        graph.change(made.sampler, model=node["model"])
        made = made._replace(load=node)
    return made


def test_with_and_without_in_one_graph_are_what_each_is_alone(host, run_graph, two):
    def alone(strengths):
        graph = host.graph()
        made = song(graph, strengths)
        run_graph.executor.reset()
        return run_graph(graph)[made.sampler["latent"]]["samples"]

    without, with_it = alone([]), alone([(FIRST, 0.6)])
    graph = host.graph()
    made = song(graph, [(FIRST, 0.6)])
    inputs = graph.prompt[made.sampler.id]["inputs"]
    load = graph.prompt[made.load.id]["inputs"]["model"]
    other = graph.add("AceGraphSampler", **{**inputs, "model": load})
    graph.add("SaveLatent", samples=other["latent"])
    run_graph.executor.reset()
    done = run_graph(graph)
    assert done.success, done.error
    assert torch.equal(done[other["latent"]]["samples"], without)
    assert torch.equal(done[made.sampler["latent"]]["samples"], with_it)
    assert not torch.equal(with_it, without)
    graph.change(other, seed=7)
    assert run_graph(graph)[made.sampler["latent"]]["samples"] is done[made.sampler["latent"]]["samples"]
    graph.change(other, seed=inputs["seed"])
    assert torch.equal(run_graph(graph)[other["latent"]]["samples"], without)


def test_when_strength_alone_moves_the_checkpoint_is_not_read_again(host, run_graph, pack, two, monkeypatch):
    opened, file = [], core(pack, "checkpoints.tensor_file").TensorFile
    plain_open = file.open
    monkeypatch.setattr(file, "open", lambda self: (opened.append(self.path.name), plain_open(self))[1])
    graph = host.graph()
    made = song(graph, [(FIRST, 0.6)])
    assert run_graph(graph).success
    assert "model.safetensors" in opened
    opened.clear()
    graph.change(made.load, strength=0.7)
    done = run_graph(graph)
    assert done.success
    assert made.sampler.id in done.ran
    assert opened == ["first.safetensors"]
    opened.clear()
    assert run_graph(graph).success
    assert opened == []


def test_a_file_that_was_trained_on_is_read_again(host, run_graph, two, loras):
    def made():
        graph = host.graph()  # as a frontend sends it: nothing is kept in it
        return graph, song(graph, [(FIRST, 1.0)])

    graph, nodes = made()
    before = run_graph(graph)[nodes.sampler["latent"]]["samples"]
    graph, nodes = made()
    assert run_graph(graph).ran == ()
    shutil.copy(loras.parent / SECOND, loras.parent / FIRST)
    graph, nodes = made()
    after = run_graph(graph)
    assert nodes.load.id in after.ran
    assert not torch.equal(after[nodes.sampler["latent"]]["samples"], before)


def test_a_json_that_was_written_anew_is_read_again(pack, handle, loras, shapes):
    lora = adapters.random_lora(shapes, MODULES)
    folder = adapters.write_spelling(loras / "json", "official trainer", lora)
    fingerprint = pack.nodes.lora.LoadAdapter.fingerprint_inputs
    before = fingerprint(adapter="tests/json/"), load_lora(pack, "tests/json/", model=handle)[-1]
    assert fingerprint(adapter="tests/json/") == before[0]
    adapters.write_json(folder, r=4, lora_alpha=12.5)
    after = fingerprint(adapter="tests/json/"), load_lora(pack, "tests/json/", model=handle)[-1]
    assert after[0] != before[0]
    assert "Scale 0.75," in before[1]
    assert "Scale 3.125," in after[1]


def test_handles_are_freed_with_the_graph_that_held_them(host, run_graph, two):
    graph = host.graph()
    made = song(graph, [(FIRST, 1.0)])
    done = run_graph(graph)
    patcher = weakref.ref(done[made.load["model"]].transformer.patcher)
    del done
    run_graph.executor.reset()
    host.module("comfy.model_management").unload_all_models()
    gc.collect()
    assert patcher() is None


def test_report_and_tags_name_the_adapters_of_a_take(host, run_graph, two):
    import av

    graph = host.graph()
    made = song(graph, [(FIRST, 1.0), (SECOND, -0.25)])
    joined = graph.add("LatentBatch", samples1=made.sampler["latent"], samples2=made.sampler["latent"])
    graph.change(made.decode, latent=joined[0])
    done = run_graph(graph)
    assert done.success, done.error
    assert "with tests/first x 1, tests/second x -0.25, 1 x 6 s" in done[made.sampler["report"]]
    assert "Loaded one after the other: tests/first x 1, tests/second x -0.25." in done[made.load["report"]]
    tags = []
    for path in done.files(made.save):
        with av.open(str(path)) as opened:
            tags.append({name.lower(): text for name, text in opened.metadata.items()}.get("adapters"))
    assert tags == ["tests/first x 1, tests/second x -0.25", None]  # of what others join on nothing is known


def test_an_output_whose_input_is_not_wired_says_so_to_whoever_asks(host, run_graph, two):
    graph = host.graph()
    made = song(graph, [(FIRST, 1.0)])
    conditions = graph.add(
        "AceGraphEncodeConditions", text_encoder=made.load["text_encoder"], caption="piano"
    )
    graph.add("PreviewAny", source=conditions["conditions"])
    run_graph(graph)
    told = [data["exception_message"] for event, data in host.events if event == "execution_error"]
    assert told == [
        "Execution Blocked: Load LoRA gives no text_encoder, because no text_encoder is connected to it."
    ]


@pytest.mark.parametrize(("size", "card_mb"), [("2B", 2048), ("XL", 4096)])
def test_nothing_is_left_on_the_wrong_device_in_a_part_of_the_published_widths(
    pack, models, monkeypatch, size, card_mb, loras
):
    with giant_cards(pack, models, card_mb) as made:
        card = made(size, weights="fp32", depth=SHALLOW)
        network = card.giant.model.transformer.network
        lowrank = core(pack, "adapters.formulas").LowRank
        decomposed = core(pack, "adapters.formulas").Decomposed
        changes = {}
        for name, weight in network.state_dict().items():
            if name.endswith("_proj.weight"):
                rows, columns = weight.shape
                plain = lowrank(torch.empty(rows, 8), torch.empty(8, columns), 1.0)
                changes[name] = decomposed(plain, torch.empty(rows)) if ".mlp." in name else plain
        transformer = card.giant.model.transformer.adapted({0.8: changes})
        card.giant = card.giant._replace(
            model=pack.nodes.lora.replace(card.giant.model, transformer=transformer)
        )
        card.sampled(card.conditions(), card.silence())
        assert 0 < transformer.patcher.loaded_size() < transformer.patcher.model_size()
        assert loaded_bytes(card.device) <= card_mb * MB


# ------------------------------------------------------------------------------------------------- refusals
def node_with(graph, adapter, **inputs):
    load = task_graphs.opened(graph)
    node = graph.add("AceGraphLoadAdapter", model=load["model"], adapter=adapter, **inputs)
    graph.add("PreviewAny", source=node["report"])
    return node


@pytest.mark.parametrize(
    ("inputs", "problem"),
    [
        ({"adapter": "nothing.safetensors"}, "There is no 'nothing.safetensors' in models/loras"),
        ({"adapter": "../../secret.safetensors"}, "There is no"),
        ({"adapter": "tests/../../x/"}, "There is no"),
        ({"layers": "first: 1"}, "The layers 'first: 1' cannot be read"),
        ({"adapter": "put a LoRA into models/loras"}, "No adapter is installed"),
    ],
)
def test_what_is_wrong_with_the_settings_is_said(trial, graph, two, inputs, problem):
    trial.refuses(graph, node_with(graph, **{"adapter": FIRST, **inputs}), problem)


@pytest.mark.parametrize("name", ["strength", "self_attn", "alpha"])
def test_numbers_out_of_range_that_came_by_wire_are_refused(pack, handle, two, name):
    values = {"strength": 1.0, name: float("nan") if name == "strength" else -11.0}
    with pytest.raises(core(pack, "errors").InvalidInputError, match=f"The {name} is"):
        load_lora(pack, FIRST, model=handle, **values)


def test_nothing_wired_is_said(trial, graph, two):
    node = graph.add("AceGraphLoadAdapter", adapter=FIRST)
    graph.add("PreviewAny", source=node["report"])
    trial.refuses(graph, node, "Load LoRA has nothing to put the adapter into")


BAD = {
    "a language model": (
        "sd.safetensors",
        {
            "lora_unet_input_blocks_1.lora_up.weight": (4, 4),
            "lora_unet_input_blocks_1.lora_down.weight": (4, 4),
        },
        "is a LoRA for Stable Diffusion, not for ACE-Step 1.5",
    ),
    "the planner's": (
        "planner.safetensors",
        {
            "base_model.model.model.layers.0.mlp.up_proj.lora_A.weight": (4, 16),
            "base_model.model.model.layers.0.mlp.up_proj.lora_B.weight": (40, 4),
        },
        "is an adapter for the planner",
    ),
    "of another width": (
        "xl.safetensors",
        {"layers.0.mlp.up_proj.lora_A.weight": (4, 2560), "layers.0.mlp.up_proj.lora_B.weight": (9728, 4)},
        r"was made for the XL model \(width 2560\), this one has 48",
    ),
    "empty": ("empty.safetensors", {}, "holds no adapter weights"),
    "half": ("half.safetensors", {"layers.0.mlp.up_proj.lora_A.weight": (4, 48)}, "is incomplete"),
}


@pytest.mark.parametrize(("name", "tensors", "problem"), BAD.values(), ids=BAD.keys())
def test_a_bad_file_is_refused_in_two_sentences(trial, graph, loras, name, tensors, problem):
    save_file({key: torch.ones(shape) for key, shape in tensors.items()}, loras / name)
    told = trial.refuses(graph, node_with(graph, f"tests/{name}"), problem)
    assert told.startswith(f"tests/{name}")


def pair(folder, text=None, value=1.0, **settings):
    """A PEFT pair of one layer. text: of its json."""
    folder.mkdir()
    key = "base_model.model.layers.0.mlp.up_proj"
    tensors = {f"{key}.lora_A.weight": torch.full((4, 48), value), f"{key}.lora_B.weight": torch.ones(112, 4)}
    save_file(tensors, folder / adapters.PEFT_FILE)
    adapters.write_json(folder, **settings)
    if text is not None:
        (folder / adapters.PEFT_JSON).write_text(text)


BAD_FOLDERS = {
    "NaN": ({"value": float("nan")}, r"holds numbers that are not finite \(in .*lora_A"),
    "absurd": ({"value": 1e38}, r"holds numbers as large as 1e\+38 \(in .*lora_A"),
    "broken json": ({"text": "{"}, "adapter_config.json cannot be read"),
    "endless json": ({"text": "[" * 100_000}, "adapter_config.json cannot be read"),
    "no object": ({"text": "[]"}, "adapter_config.json is not a JSON object"),
    "rank 0": ({"r": 0}, "adapter_config.json gives the adapter the rank 0"),
    "IA3": ({"peft_type": "IA3"}, "is a IA3 adapter, which is not read here"),
    "BOFT": ({"peft_type": "BOFT"}, "is a BOFT adapter, which is not read here"),
    "COFT": ({"peft_type": "OFT", "coft": True}, "is a constrained OFT, which is not read here"),
}


@pytest.mark.parametrize(("made", "problem"), BAD_FOLDERS.values(), ids=BAD_FOLDERS.keys())
def test_a_bad_folder_is_refused_in_two_sentences(pack, handle, loras, made, problem):
    shutil.rmtree(loras / "bad", ignore_errors=True)
    pair(loras / "bad", **made)
    with pytest.raises(core(pack, "errors").AceStepError, match=problem) as refused:
        load_lora(pack, "tests/bad/", model=handle)
    assert str(refused.value).count("\n") == 1


def test_a_folder_without_weights_is_not_there(pack, handle, loras):
    (loras / "hollow").mkdir()
    adapters.write_json(loras / "hollow")
    with pytest.raises(
        core(pack, "errors").AceStepError, match="There is no 'tests/hollow/' in models/loras"
    ):
        load_lora(pack, "tests/hollow/", model=handle)


def test_a_whole_checkpoint_is_no_adapter(trial, graph, loras, models):
    shutil.copy(
        models / "turbo" / "official" / "acestep-v15-turbo" / "model.safetensors", loras / "whole.safetensors"
    )
    trial.refuses(
        graph, node_with(graph, "tests/whole.safetensors"), "is an ACE-Step 1.5 model, not an adapter"
    )


def test_files_that_are_no_safetensors_are_not_listed_and_pickles_under_a_false_name_not_opened(
    trial, graph, host, loras
):
    torch.save({"lora": torch.zeros(2)}, loras / "plain.pt")
    shutil.copy(loras / "plain.pt", loras / "false.safetensors")
    options = host.info("AceGraphLoadAdapter")["input"]["required"]["adapter"][1]["options"]
    assert "tests/false.safetensors" in options
    assert not any(name.endswith(".pt") for name in options)
    trial.refuses(
        graph, node_with(graph, "tests/false.safetensors"), "is a PyTorch pickle, which could run any program"
    )


def test_a_new_file_is_listed_when_asked_again_and_an_empty_folder_says_what_to_do(
    host, pack, loras, monkeypatch
):
    def options():
        return host.info("AceGraphLoadAdapter")["input"]["required"]["adapter"][1]["options"]

    assert "tests/new/" not in options()
    (loras / "new").mkdir()
    save_file({"a.diff": torch.zeros(1)}, loras / "new" / "adapter_model.safetensors")
    assert "tests/new/" in options()
    assert not any(name.endswith("adapter_model.safetensors") for name in options())
    monkeypatch.setattr(pack.nodes.host.folders, "adapters", list)
    assert options() == ["put a LoRA into models/loras"]
