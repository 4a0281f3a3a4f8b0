"""Adapter files: what they change, and what of them is not used."""

import torch
from torch import nn

from acestep_core.adapters.keys import Part
from acestep_core.checkpoints.weights import shapes_of
from support.reference.adapter_checks import RANK, Write, fitted, one
from support.tiny.adapters import (
    SPELLINGS,
    Lora,
    random_lora,
    spelt,
)


def test_what_changes_nothing_is_listed_with_a_reason(transformer: nn.Module, lora: Lora, write: Write):
    tensors = {
        **spelt(one(lora), SPELLINGS["decoder"]),
        "decoder.scale_shift_table.diff": torch.zeros(1, 2, 48),
        "decoder.layers.0.self_attn.q_proj.diff_b": torch.zeros(64),
        "decoder.layers.99.self_attn.q_proj.diff": torch.zeros(64, 48),
        "something.else": torch.zeros(1),
    }
    adapter = fitted(write(tensors), transformer)
    assert {unused.name: unused.why for unused in adapter.unused} == {
        "something.else": "no adapter that is known",
        "decoder.scale_shift_table": "a parameter of no layer",
        "decoder.layers.0.self_attn.q_proj.bias": "this layer has no bias",
        "decoder.layers.99.self_attn.q_proj": "the transformer has no such layer",
    }
    assert list(adapter.changes[Part.TRANSFORMER]) == ["layers.0.self_attn.q_proj.weight"]


def test_the_planners_tables_are_read_raw_and_so_not_changed(planner: nn.Module, write: Write):
    shapes = shapes_of(planner.state_dict())
    inside = random_lora(shapes, ["layers.0.self_attn.q_proj", "embed_tokens"])
    path = write(
        spelt(inside, SPELLINGS["ai-toolkit"].__class__(lambda module: f"base_model.model.model.{module}"))
    )
    adapter = fitted(path, planner, Part.PLANNER)
    assert list(adapter.changes[Part.PLANNER]) == ["layers.0.self_attn.q_proj.weight"]
    assert [unused.why for unused in adapter.unused] == ["a table that the planner reads row by row"]


def test_weights_for_other_networks_are_counted(transformer: nn.Module, lora: Lora, write: Write):
    tensors = spelt(one(lora), SPELLINGS["decoder"]) | {"encoder.text_projector.diff": torch.zeros(48, 16)}
    adapter = fitted(write(tensors), transformer)
    assert adapter.elsewhere == {Part.CONDITIONS: 1}
    assert not adapter.unused


def test_the_report_of_a_file_knows_kinds_ranks_and_the_trigger(
    transformer: nn.Module, lora: Lora, write: Write
):
    header = {"hot_step_trigger": "zydeco", "hot_step_trigger_position": "prepend"}
    adapter = fitted(write(spelt(lora, SPELLINGS["bare"]), header=header), transformer)
    assert {(made.kind, made.rank) for made in adapter.made} == {("LoRA", RANK)}
    assert adapter.settings.trigger == "zydeco (prepend)"
