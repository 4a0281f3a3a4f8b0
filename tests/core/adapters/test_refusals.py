"""Adapter files that cannot be loaded exactly are refused in two sentences."""

import json
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from acestep_core.adapters.adapted import with_adapter
from acestep_core.adapters.adapter_file import AdapterFile
from acestep_core.checkpoints.layouts import open_checkpoint
from acestep_core.checkpoints.load import load_transformer
from acestep_core.checkpoints.tensor_file import TensorFile
from acestep_core.errors import InvalidInputError, UnsupportedCheckpointError
from acestep_core.files import MAX_JSON_BYTES, MAX_JSON_DEPTH
from support.reference.adapter_checks import RANK, Write, assert_gains, fitted, one, refusal
from support.tiny.adapters import (
    SPELLINGS,
    Lora,
    expected,
    spelt,
    write_json,
    write_spelling,
)


def test_an_adapter_of_another_width_names_both(
    tiny_xl: Path, transformer: nn.Module, lora: Lora, write: Write
):
    wide = load_transformer(open_checkpoint(tiny_xl / "official"))
    told = refusal(write(spelt(lora, SPELLINGS["ComfyUI"])), wide)
    assert told.problem == "my.safetensors was made for another transformer (width 48), this one has 64."


def test_a_transposed_factor_is_not_taken_for_a_weight_of_as_many_numbers(
    transformer: nn.Module, lora: Lora, write: Write
):
    down, up = lora["layers.0.mlp.up_proj"]
    turned = {"layers.0.mlp.up_proj": (up.T.contiguous(), down.T.contiguous())}
    assert "was made for" in refusal(write(spelt(turned, SPELLINGS["bare"])), transformer).problem


def test_pieces_that_do_not_belong_together_are_refused(transformer: nn.Module, lora: Lora, write: Write):
    down, up = lora["layers.0.self_attn.q_proj"]
    odd = {"layers.0.self_attn.q_proj": (down, up[:, :2].contiguous())}
    assert "do not belong together" in refusal(write(spelt(odd, SPELLINGS["bare"])), transformer).problem


@pytest.mark.parametrize(
    "pieces",
    [
        ("lora_up.weight", "lora_down.weight"),
        ("lokr_w1", "lokr_w2"),
        ("lokr_w1", "lokr_w2_a", "lokr_w2_b"),
        ("hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b"),
        ("a1.weight", "a2.weight", "b1.weight", "b2.weight"),
    ],
)
@pytest.mark.parametrize("shape", [(), (1,), (2, 2, 2, 2, 2)])
def test_tensors_of_senseless_shapes_are_refused(
    transformer: nn.Module, write: Write, pieces: tuple[str, ...], shape: tuple[int, ...]
):
    path = write({f"layers.0.self_attn.q_proj.{piece}": torch.ones(shape) for piece in pieces})
    refusal(path, transformer)


@pytest.mark.parametrize("lost", ["lora_A", "lora_B"])
def test_half_a_pair_is_refused(transformer: nn.Module, lora: Lora, write: Write, lost: str):
    tensors = spelt(one(lora), SPELLINGS["ai-toolkit"])
    path = write({key: value for key, value in tensors.items() if lost not in key})
    assert "lacks its other half" in refusal(path, transformer).problem


def test_two_spellings_of_one_weight_are_refused(transformer: nn.Module, lora: Lora, write: Write):
    tensors = spelt(one(lora), SPELLINGS["bare"]) | spelt(one(lora), SPELLINGS["LyCORIS"])
    told = refusal(write(tensors), transformer)
    assert told.problem == "my.safetensors changes layers.0.self_attn.q_proj.weight twice."


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_are_none_are_refused_by_their_key(
    transformer: nn.Module, lora: Lora, write: Write, value: float
):
    tensors = spelt(one(lora), SPELLINGS["bare"])
    key = "layers.0.self_attn.q_proj.lora_B"
    tensors[key][3, 1] = value
    told = refusal(write(tensors), transformer)
    assert told.problem == f"my.safetensors holds numbers that are not finite (in {key})."


@pytest.mark.parametrize(("piece", "value"), [("lora_B", 1e30), ("lora_A", -2e6), ("alpha", 1e13)])
def test_numbers_that_no_training_leaves_are_refused_by_their_key(
    transformer: nn.Module, lora: Lora, write: Write, piece: str, value: float
):
    tensors = spelt(one(lora), SPELLINGS["bare"])
    tensors[f"layers.0.self_attn.q_proj.{piece}"].view(-1)[0] = value
    told = refusal(write(tensors), transformer)
    assert told.problem.startswith("my.safetensors holds numbers as large as ")
    assert f"(in layers.0.self_attn.q_proj.{piece})" in told.problem


def test_an_alpha_that_multiplies_by_millions_is_refused(transformer: nn.Module, lora: Lora, write: Write):
    tensors = spelt(one(lora), SPELLINGS["bare"], alpha=1e10)
    assert "multiplies layers.0.self_attn.q_proj by 2.5e+09" in refusal(write(tensors), transformer).problem


def test_names_without_end_leave_a_sentence_that_can_be_read(transformer: nn.Module, write: Write):
    key = "x" * 100_000
    path = write({f"{key}.lora_A.weight": torch.zeros(4, 48), f"{key}.lora_B.weight": torch.zeros(48, 4)})
    assert len(refusal(path, transformer).problem) < 500


@pytest.mark.parametrize(
    ("key", "whose"),
    [
        ("lora_unet_input_blocks_1_1_proj_in", "Stable Diffusion"),
        ("lora_te_text_model_encoder_layers_0_mlp_fc1", "Stable Diffusion"),
        ("transformer.double_blocks.0.img_attn.qkv", "another diffusion transformer"),
        ("transformer.transformer_blocks.0.attn.to_q", "another diffusion transformer"),
        ("transformer.speaker_embedder", "ACE-Step 1"),
    ],
)
def test_foreign_adapters_are_called_by_their_model(
    transformer: nn.Module, write: Write, key: str, whose: str
):
    tensors = {f"{key}.lora_down.weight": torch.zeros(4, 48), f"{key}.lora_up.weight": torch.zeros(48, 4)}
    told = refusal(write(tensors), transformer)
    assert told.problem == f"my.safetensors is a LoRA for {whose}, not for ACE-Step 1.5."


def test_a_planners_adapter_is_not_for_the_transformer_nor_the_other_way_round(
    transformer: nn.Module, planner: nn.Module, lora: Lora, write: Write
):
    prefixed = {
        f"base_model.model.model.{key}": value for key, value in spelt(lora, SPELLINGS["bare"]).items()
    }
    path = write(prefixed)
    assert refusal(path, transformer).problem == "my.safetensors is an adapter for the planner."
    path = write(spelt(lora, SPELLINGS["bare"]))
    assert refusal(path, planner).problem == "my.safetensors is an adapter for the transformer."


def test_an_adapter_for_nothing_here_says_what_it_holds(transformer: nn.Module, write: Write):
    tensors = {"a.b.lora_A.weight": torch.zeros(4, 48), "a.b.lora_B.weight": torch.zeros(48, 4)}
    assert refusal(write(tensors), transformer).problem.startswith("my.safetensors changes nothing here: a.b")


@pytest.mark.parametrize("kind", ["IA3", "VERA", "BOFT", "ADALORA", "None"])
def test_other_kinds_of_peft_are_refused_by_name(
    transformer: nn.Module, lora: Lora, tmp_path: Path, kind: str
):
    folder = write_spelling(tmp_path, "official trainer", one(lora))
    write_json(folder, peft_type=kind)
    assert f"is a {kind} adapter" in refusal(folder, transformer).problem


@pytest.mark.parametrize(
    ("ending", "kind"),
    [
        (".on_input", "IA3"),
        (".lora_E", "AdaLoRA"),
        (".lambda_layer", "T-LoRA"),
        (".vera_lambda_b.weight", "VeRA"),
    ],
)
def test_other_kinds_of_keys_are_refused_by_name(
    transformer: nn.Module, write: Write, ending: str, kind: str
):
    path = write({f"lycoris_layers_0_mlp_up_proj{ending}": torch.ones(4), "a.diff": torch.zeros(2)})
    assert f"is a {kind} adapter" in refusal(path, transformer).problem


def test_a_boft_is_told_from_an_oft_by_its_shape(transformer: nn.Module, write: Write):
    path = write({"lycoris_layers_0_self_attn_q_proj.oft_blocks": torch.zeros(2, 4, 8, 8)})
    assert "is a BOFT adapter" in refusal(path, transformer).problem


@pytest.mark.parametrize(
    "settings",
    [
        {"lora_bias": True},
        {"layer_replication": [[0, 2]]},
        {"alora_invocation_tokens": [1]},
        {"use_qalora": True},
        {"peft_type": "OFT", "coft": True},
        {"peft_type": "OFT", "block_share": True},
    ],
)
def test_settings_that_change_the_meaning_are_refused(
    transformer: nn.Module, lora: Lora, settings: dict[str, object], tmp_path: Path
):
    folder = write_spelling(tmp_path, "official trainer", one(lora))
    write_json(folder, **settings)
    assert "which is not read here" in refusal(folder, transformer).problem


@pytest.mark.parametrize(
    "settings",
    [
        {"r": 0},
        {"r": -1},
        {"lora_alpha": "much"},
        {"lora_alpha": True},
        {"lora_alpha": 10**400},
        {"lora_alpha": 1e13},
        {"lora_alpha": 1e11, "r": 4},
        {"lora_alpha": "9" * 5_000},
        {"peft_type": "OFT", "use_cayley_neumann": True, "num_cayley_neumann_terms": 1e30},
        {"peft_type": "OFT", "use_cayley_neumann": True, "num_cayley_neumann_terms": -3},
        {"alpha_pattern": {"(": 1}},
        {"alpha_pattern": ["q_proj"]},
        {"rank_pattern": {"q_proj": "x"}},
        {"alpha_pattern": {"q" * 1000: 1}},
        {"alpha_pattern": {"(.+)+!": 1}},
        {"alpha_pattern": {".*.*.*.*!": 1}},
        {"alpha_pattern": {"(.|.)(.|.)!": 1}},
        {"alpha_pattern": {f"({'.|' * 40})!": 1}},
        {"alpha_pattern": {f"q.{number}|v": 1 for number in range(9)}},
    ],
)
def test_a_json_that_says_nonsense_is_refused(
    transformer: nn.Module, lora: Lora, settings: dict[str, object], tmp_path: Path
):
    folder = write_spelling(tmp_path, "official trainer", one(lora))
    write_json(folder, **settings)
    assert "adapter_config.json" in refusal(folder, transformer).problem


@pytest.mark.parametrize("text", ["", "{", "[]", '{"r": NaN'])
def test_a_broken_json_is_refused(transformer: nn.Module, lora: Lora, text: str, tmp_path: Path):
    folder = write_spelling(tmp_path, "official trainer", one(lora))
    (folder / "adapter_config.json").write_text(text, encoding="utf-8")
    assert "adapter_config.json" in refusal(folder, transformer).problem


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[" * 100_000,
        '{"a": ' * (MAX_JSON_DEPTH + 1) + "1" + "}" * (MAX_JSON_DEPTH + 1),
        f'"{" " * MAX_JSON_BYTES}"',
        "9" * 5_000,
    ],
    ids=["broken", "without end", "too deep", "too large", "a number without end"],
)
def test_a_header_that_is_no_json_of_ours_is_refused(
    transformer: nn.Module, lora: Lora, write: Write, text: str
):
    path = write(spelt(one(lora), SPELLINGS["bare"]), header={"lora_adapter_metadata": text})
    assert refusal(path, transformer).problem.startswith("my.safetensors has a header that cannot be read (")


def test_an_oft_without_its_json_is_refused(transformer: nn.Module, write: Write):
    path = write({"base_model.model.layers.0.self_attn.q_proj.oft_R.weight": torch.zeros(6, 28)})
    assert "without its adapter_config.json" in refusal(path, transformer).problem


def test_a_rank_of_nothing_is_refused(transformer: nn.Module, write: Write):
    key = "layers.0.self_attn.q_proj"
    path = write({f"{key}.lora_A.weight": torch.zeros(0, 48), f"{key}.lora_B.weight": torch.zeros(64, 0)})
    assert "rank 0" in refusal(path, transformer).problem


def test_files_that_are_no_adapters_say_what_they_are(transformer: nn.Module, tiny_turbo: Path, write: Write):
    model = tiny_turbo / "comfy" / "diffusion_models" / "acestep_v1.5_turbo.safetensors"
    told = refusal(model, transformer)
    assert told.problem == f"{model.name} is an ACE-Step 1.5 model, not an adapter."
    assert told.remedy == "Choose it in Load ACE-Step."
    vae = tiny_turbo / "comfy" / "vae" / "ace_1.5_vae.safetensors"
    assert "Oobleck VAE, not an adapter" in refusal(vae, transformer).problem
    assert refusal(write({}), transformer).problem == "my.safetensors holds no adapter weights."


@pytest.mark.parametrize("protocol", [0, 2])
@pytest.mark.parametrize("name", ["lora.pt", "lora.safetensors", "lora.bin"])
def test_a_pickle_is_never_opened_under_whichever_name(
    transformer: nn.Module, name: str, protocol: int, tmp_path: Path
):
    content = {"lora": torch.zeros(2)}
    torch.save(content, tmp_path / name, _use_new_zipfile_serialization=protocol == 0)
    told = refusal(tmp_path / name, transformer)
    assert told.problem == f"{name} is a PyTorch pickle, which could run any program."
    if not name.endswith(".safetensors"):
        assert (
            refusal(tmp_path, transformer).problem == told.problem
        )  # trainers without safetensors leave these


def test_a_header_that_begins_like_a_pickle_is_none(transformer: nn.Module, lora: Lora, write: Write):
    tensors = spelt(one(lora), SPELLINGS["bare"])
    lengths = {
        fill: write(tensors, header={"fill": "x" * fill}).read_bytes()[:2] for fill in range(200, 500, 4)
    }
    fill = next(fill for fill, start in lengths.items() if start == b"\x80\x02")  # 640 bytes of header
    assert_gains(write(tensors, header={"fill": "x" * fill}), transformer, expected(one(lora)))


def test_a_folder_without_weights_is_refused(transformer: nn.Module, tmp_path: Path):
    write_json(tmp_path)
    assert "holds no adapter weights" in refusal(tmp_path, transformer).problem


def test_a_network_that_takes_none_is_refused(lora: Lora, write: Write):
    with pytest.raises(InvalidInputError, match="A Linear takes no adapters"):
        with_adapter(nn.Linear(2, 2), write(spelt(one(lora), SPELLINGS["bare"])))


@given(order=st.permutations(range(3)), lost=st.integers(0, 3))
def test_a_damaged_file_is_loaded_exactly_or_refused(
    order: list[int], lost: int, transformer: nn.Module, lora: Lora, tmp_path_factory: pytest.TempPathFactory
):
    tensors = spelt(one(lora), SPELLINGS["Side-Step export"])
    path = tmp_path_factory.mktemp("damaged") / "my.safetensors"
    keys = list(tensors)
    renamed = [keys[place] for place in order]
    save_file({new: tensors[old] for new, old in zip(renamed, keys, strict=True)}, path)
    content = path.read_bytes()
    path.write_bytes(content[: [len(content), len(content) - 1, 8, 100][lost]])
    try:
        adapted = with_adapter(transformer, path)
    except (UnsupportedCheckpointError, InvalidInputError):
        return
    assert renamed == keys
    assert lost == 0
    torch.testing.assert_close(
        adapted.state_dict()["layers.0.self_attn.q_proj.weight"]
        - transformer.state_dict()["layers.0.self_attn.q_proj.weight"],
        expected(one(lora))["layers.0.self_attn.q_proj.weight"],
        atol=1e-6,
        rtol=0,
    )


def test_the_file_is_opened_once(
    transformer: nn.Module, lora: Lora, write: Write, monkeypatch: pytest.MonkeyPatch
):
    opened: list[Path] = []
    plain = TensorFile.open
    monkeypatch.setattr(TensorFile, "open", lambda self: (opened.append(self.path), plain(self))[1])
    path = write(spelt(lora, SPELLINGS["bare"]))
    fitted(path, transformer)
    assert opened == [path]


def test_headers_of_every_kind_are_plain_json(tmp_path: Path, lora: Lora):
    path = write_spelling(tmp_path, "diffusers", one(lora))
    header = AdapterFile.open(path).weights.metadata
    assert json.loads(header["lora_adapter_metadata"])["transformer.r"] == RANK
