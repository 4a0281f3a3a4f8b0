"""Weights that are NaN or infinite are refused with their name when the network is first used, and nothing is played."""

import re

import pytest
import torch
from safetensors.torch import load_file, save_file

from support.comfyui import models as comfy_models
from support.comfyui import task_graphs
from support.comfyui.handles import tiny_handles
from support.comfyui.task_graphs import encode, finished, heard, opened

FILE = comfy_models.layouts()["aio"]["model"]
BROKEN = "broken.safetensors"
NAN, INF = float("nan"), float("inf")
NETWORKS = [  # a tensor of the file, what it is filled with, the node that fails, and what it says
    (r"decoder\.layers\.0\.self_attn\.q_proj\.weight", NAN, "AceGraphSampler", "transformer"),
    (r"decoder\.proj_out\.1\.bias", -INF, "AceGraphSampler", "transformer"),
    (
        r"(?<!de)tokenizer\..*layers\.0\.mlp\.up_proj\.weight",
        NAN,
        "AceGraphAudioToCodes",
        "semantic tokenizer",
    ),
    (
        r"\.encoder\.lyric_encoder\.layers\.0\.mlp\.up_proj\.weight",
        INF,
        "AceGraphEncodeConditions",
        "text encoder",
    ),
    (r"text_encoders\..*layers\.0\.mlp\.up_proj\.weight", NAN, "AceGraphEncodeConditions", "text encoder"),
    (r"vae\.decoder\.layers\.0\.weight_v", NAN, "AceGraphLoad", "VAE"),
    (r"vae\.encoder\.layers\.0\.weight_g", INF, "AceGraphLoad", "VAE"),
]


@pytest.fixture
def broken(host, pack):
    """broken(pattern, value): the all-in-one file with one number of one tensor replaced."""
    checkpoints = host.base / "models" / "checkpoints"

    def written(pattern, value):
        tensors = load_file(checkpoints / FILE)
        key = next(name for name in tensors if re.search(pattern, name))
        tensors[key] = tensors[key].clone()
        tensors[key].view(-1)[-1] = value
        save_file(tensors, checkpoints / BROKEN)
        host.module("folder_paths").filename_list_cache.clear()
        return key

    yield written
    (checkpoints / BROKEN).unlink(missing_ok=True)


@pytest.mark.parametrize(("pattern", "value", "kind", "network"), NETWORKS)
def test_a_number_that_is_none_is_refused_where_the_network_is_first_used(
    host, graph, run_graph, broken, pattern, value, kind, network
):
    key = broken(pattern, value)
    task_graphs.record(host.base / "input")
    load = opened(graph, {"model": BROKEN, "variant": "turbo"})
    _, latent = heard(graph, load)
    codes = graph.add("AceGraphAudioToCodes", model=load["model"], latent=latent)
    graph.add("PreviewAny", source=codes["report"])
    finished(graph, load, encode(graph, load), latent)
    failure = run_graph(graph).failure
    assert (failure["node_type"], failure["exception_type"]) == (kind, "ACE-Step.UnsupportedCheckpointError")
    assert f"{network} has weights that are NaN or infinite, in " in failure["exception_message"]
    named = {
        "weight_v": "decoder.conv1.weight",
        "weight_g": "encoder.conv1.weight",
    }  # once they are multiplied
    told = named.get(key.rpartition(".")[2]) or re.search(r"[^.]+\.[^.]+$", key)[0]
    assert told in failure["exception_message"]


def test_sound_weights_are_looked_through_once(pack, models, monkeypatch):
    runtime, looked = pack.nodes.host.runtime, []
    plain = runtime.refuse_broken

    def counted(weights, network):
        looked.append(network)
        plain(weights, network)

    monkeypatch.setattr(runtime, "refuse_broken", counted)
    transformer = tiny_handles(pack, models).model.transformer
    for managed in (transformer, transformer, transformer.adapted({})):
        with managed.at_work(0) as network:
            assert next(network.parameters()).dtype == torch.float32
    assert looked == ["The transformer"]
