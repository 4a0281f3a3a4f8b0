"""Names in adapter files: every spelling leads to the same weight, and none to another network's."""

import pytest

from acestep_core.adapters.keys import (
    Names,
    Part,
    Piece,
    Place,
    piece_of,
    place_of,
    unwrapped,
    whole_of,
)
from support.tiny.adapters import ATTENTION, MLP, SPELLINGS, modules

REST = ("proj_in.1", "proj_out.1", "condition_embedder", "time_embed.linear_1", "time_embed_r.time_proj")
TRANSFORMER = [*modules(24, (*ATTENTION, *MLP)), *REST]
PLANNER = modules(28, [name for name in (*ATTENTION, *MLP) if "cross" not in name])
NAMES = Names(
    {
        Part.TRANSFORMER: TRANSFORMER,
        Part.PLANNER: PLANNER,
        Part.CONDITIONS: [
            "text_projector",
            "lyric_encoder.layers.0.self_attn.q_proj",
            "timbre_encoder.embed_tokens",
        ],
        Part.CODEC: ["tokenizer.attention_pooler.layers.0.mlp.up_proj", "detokenizer.proj_out"],
    }
)


@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=SPELLINGS.keys())
def test_every_program_spells_the_same_weights(spelling):
    for module in TRANSFORMER:
        for ending, name in ((spelling.down, "down"), (spelling.up, "up")):
            found = piece_of(f"{spelling.key(module)}.{ending}")
            assert found is not None
            assert found.name == name
            assert NAMES.place(found.module) == Place(Part.TRANSFORMER, module)


@pytest.mark.parametrize(
    "prefix",
    ["base_model.model.model.", "model.", "base_model.model.base_model.model.model.", "lycoris_model_"],
)
def test_the_planners_layers_are_never_the_transformers(prefix: str):
    for module in PLANNER:
        path = prefix + (module.replace(".", "_") if prefix.endswith("_") else module)
        assert NAMES.place(path) == Place(Part.PLANNER, module)
        assert Names({Part.TRANSFORMER: TRANSFORMER}).place(path).part is Part.PLANNER


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("base_model.model.encoder.text_projector", Place(Part.CONDITIONS, "text_projector")),
        ("diffusion_model.encoder.text_projector", Place(Part.CONDITIONS, "text_projector")),
        ("condition_encoder.text_projector", Place(Part.CONDITIONS, "text_projector")),
        ("lycoris_encoder_text_projector", Place(Part.CONDITIONS, "text_projector")),
        ("detokenizer.proj_out", Place(Part.CODEC, "detokenizer.proj_out")),
        ("lycoris_detokenizer_proj_out", Place(Part.CODEC, "detokenizer.proj_out")),
        ("text_encoder.layers.0.mlp.up_proj", Place(Part.TEXT, "model.layers.0.mlp.up_proj")),
        ("transformer.proj_in_conv", Place(Part.TRANSFORMER, "proj_in.1")),
        ("lycoris_proj_in_1", Place(Part.TRANSFORMER, "proj_in.1")),
        ("lycoris_layers_0_self_attn_to_out_0", Place(Part.TRANSFORMER, "layers.0.self_attn.o_proj")),
        ("lycoris_time_embed_r_time_proj", Place(Part.TRANSFORMER, "time_embed_r.time_proj")),
    ],
)
def test_prefixes_lead_to_the_network_that_they_name(path: str, place: Place):
    assert NAMES.place(path) == place


def test_wrappers_come_off_however_often_and_a_bare_base_model_does_not():
    assert unwrapped("base_model.model.model.diffusion_model.base_model.model.decoder.x") == "decoder.x"
    assert unwrapped("base_model.x") == "base_model.x"
    assert place_of("base_model.layers.0.mlp.up_proj").module == "base_model.layers.0.mlp.up_proj"


def test_a_network_that_is_not_at_hand_is_still_named():
    only = Names({Part.PLANNER: PLANNER})
    assert only.place("lycoris_encoder_text_projector").part is Part.CONDITIONS
    assert only.place("lycoris_layers_0_self_attn_q_proj").part is Part.TRANSFORMER


@pytest.mark.parametrize(
    ("key", "piece"),
    [
        ("a.b.lora_A", Piece("a.b", "down")),
        ("a.b.lora_B.default.weight", Piece("a.b", "up")),
        ("a.b.lora_mid.weight", Piece("a.b", "middle")),
        ("a.b_lora.down.weight", Piece("a.b", "down")),
        ("a.b.lora_magnitude_vector", Piece("a.b", "lora_magnitude_vector")),
        ("a.b.lora_magnitude_vector.default.weight", Piece("a.b", "lora_magnitude_vector")),
        ("a.b.dora_scale", Piece("a.b", "dora_scale")),
        ("lycoris_a.lokr_w1_a", Piece("lycoris_a", "lokr_w1_a")),
        ("a.lokr_w2.default", Piece("a", "lokr_w2")),
        ("a.hada_t2", Piece("a", "hada_t2")),
        ("a.oft_R.default.weight", Piece("a", "oft_R")),
        ("a.diff_b", Piece("a", "diff_b")),
        ("a.b1.weight", Piece("a", "b1")),
        ("a.alpha", Piece("a", "alpha")),
    ],
)
def test_a_key_is_a_module_and_a_piece(key: str, piece: Piece):
    assert piece_of(key) == piece


@pytest.mark.parametrize(
    "key", ["layers.0.mlp.up_proj.weight", "alpha", "a.lora_C.weight", "a.lora_embedding_A", "a"]
)
def test_other_keys_are_no_pieces(key: str):
    assert piece_of(key) is None


def test_layers_that_were_trained_in_full_keep_their_own_names():
    assert whole_of("base_model.model.proj_in.1.weight") == Piece("base_model.model.proj_in.1", "weight")
    assert whole_of("a.modules_to_save.default.bias") == Piece("a", "bias")
    assert whole_of("a.scale_shift_table") is None
