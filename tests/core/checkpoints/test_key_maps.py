"""Names of tensors: every layout's become the official ones, and foreign files are called what they are."""

import pytest

from acestep_core.checkpoints import key_maps
from acestep_core.errors import UnsupportedCheckpointError


@pytest.mark.parametrize(
    ("folder", "key", "official"),
    [
        ("transformer", "layers.0.self_attn.to_q.weight", "decoder.layers.0.self_attn.q_proj.weight"),
        ("transformer", "layers.0.cross_attn.to_out.0.weight", "decoder.layers.0.cross_attn.o_proj.weight"),
        ("transformer", "proj_in_conv.bias", "decoder.proj_in.1.bias"),
        ("condition_encoder", "null_condition_emb", "null_condition_emb"),
        ("condition_encoder", "text_projector.weight", "encoder.text_projector.weight"),
        ("audio_tokenizer", "quantizer.project_in.weight", "tokenizer.quantizer.project_in.weight"),
        ("audio_token_detokenizer", "special_tokens", "detokenizer.special_tokens"),
    ],
)
def test_a_diffusers_name_becomes_the_official_one(folder, key, official):
    assert key_maps.official_model_name(folder, key) == official


def test_the_silence_of_a_diffusers_folder_is_no_weight():
    assert key_maps.official_model_name("condition_encoder", "silence_latent") is None


def test_a_text_encoder_keeps_neither_the_outer_prefix_nor_the_head():
    assert key_maps.qwen_name("model.layers.0.mlp.up_proj.weight") == "layers.0.mlp.up_proj.weight"
    assert key_maps.qwen_name("layers.0.mlp.up_proj.weight") == "layers.0.mlp.up_proj.weight"
    assert key_maps.qwen_name("lm_head.weight") is None


def test_the_first_sign_of_a_file_says_what_it_is():
    assert (
        key_maps.kind_of(["genre_embedder.weight", key_maps.LANDMARK])
        == "an ACE-Step 1 model, whose layout is another"
    )
    assert key_maps.kind_of([f"diffusion_model.{key_maps.LANDMARK}"]) == "an ACE-Step 1.5 model"
    assert key_maps.kind_of(["c", "b", "a", "d"]) == "of an unknown kind (it begins with a, b, c)"
    assert key_maps.kind_of([]) == "of an unknown kind (it begins with nothing)"


def test_a_model_holds_its_own_parts_and_nothing_besides():
    key_maps.refuse_foreign_model([key_maps.LANDMARK, key_maps.NULL_CONDITION, "decoder.a"], "a file")
    with pytest.raises(UnsupportedCheckpointError, match=r"holds 1 tensors .* has \(extra.weight\)"):
        key_maps.refuse_foreign_model([key_maps.LANDMARK, "extra.weight"], "a file")
