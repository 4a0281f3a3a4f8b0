"""Planners are read from every layout, exactly, and everything else is refused in one clear sentence."""

import json
import os
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from acestep_core.checkpoints.layouts import open_checkpoint
from acestep_core.checkpoints.load import load_tokenizer
from acestep_core.checkpoints.planner_files import load_planner, load_planner_tokenizer, open_planner
from acestep_core.checkpoints.weights import Weights
from acestep_core.errors import UnsupportedCheckpointError
from acestep_core.networks.qwen3 import Qwen3Sizes
from acestep_core.planner.cache import KeyValueCache
from acestep_core.planner.generation import CodeTokens, Options, Prompts, compose_codes
from acestep_core.planner.planner import Planner
from acestep_core.text.tokenizer import TextTokenizer
from support.reference.planner import head, pair
from support.tiny.checkpoint import PLANNER_FILE, PLANNER_FOLDER, tiny_model, write_planner

PROMPT, FIRST_CODE, END = [100, 42, 17, 151_644, 300], 151_669, 151_645
SIZES = {"vocab_size": 217_204, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4}


def layouts(root):
    return {
        "folder": root / "official" / PLANNER_FOLDER,
        "file inside the folder": root / "official" / PLANNER_FOLDER / "model.safetensors",
        "single file": root / "comfy" / "text_encoders" / PLANNER_FILE,
        "file of everything": root / "comfy" / "checkpoints" / "ace_step_1.5_turbo_aio.safetensors",
    }


def qwen_file(path, rows=217_204, prefix="", **more):
    _, planner = pair(Qwen3Sizes(rows, 8, 12, 1, 2, 1, 4, 1e-6, 1e6))
    save_file({f"{prefix}{key}": value for key, value in {**planner.state_dict(), **more}.items()}, path)
    return path


@pytest.fixture
def folder(tiny_turbo, tmp_path):
    """A copy of the planner's folder that a test may damage."""
    return shutil.copytree(tiny_turbo / "official" / PLANNER_FOLDER, tmp_path / PLANNER_FOLDER)


def test_every_layout_holds_the_same_planner(tiny_turbo):
    songs = []
    for path in layouts(tiny_turbo).values():
        files = open_planner(path)
        planner = load_planner(files)
        codes = CodeTokens(range(FIRST_CODE, FIRST_CODE + 64_000))
        songs.append(compose_codes(planner, Prompts(PROMPT, PROMPT[::-1]), codes, 6, Options(seeds=[1]))[0])
        assert {name: getattr(files.sizes, name) for name in SIZES} == SIZES
    assert len({tuple(song.tolist()) for song in songs}) == 1
    assert len(set(songs[0].tolist())) > 2


def test_its_logits_are_those_of_transformers(tiny_turbo):
    from transformers import Qwen3ForCausalLM

    folder = tiny_turbo / "official" / PLANNER_FOLDER
    theirs, ours = Qwen3ForCausalLM.from_pretrained(folder), load_planner(open_planner(folder))
    ids = torch.tensor([PROMPT])
    cache = KeyValueCache(ours.sizes, 1, 1, len(PROMPT), ids.device, torch.float32)
    with torch.no_grad():
        hidden = ours(ids, cache.view_of_prompt(0, len(PROMPT)))
        torch.testing.assert_close(head(ours, hidden), theirs(ids).logits, atol=1e-4, rtol=0)


def test_shards_are_one_planner(tiny_turbo, tmp_path):
    sharded = open_planner(write_planner(tiny_model(), tmp_path / "lm", shards=3)).weights
    whole = open_planner(layouts(tiny_turbo)["folder"]).weights

    assert sharded.keys() == whole.keys()
    assert all(torch.equal(sharded[key], whole[key]) for key in whole)


@pytest.mark.parametrize("prefix", ["", "model.", "text_encoders.qwen3_4b.transformer.model."])
def test_the_prefix_of_the_names_does_not_matter(prefix, tmp_path):
    files = open_planner(qwen_file(tmp_path / "planner.safetensors", prefix=prefix))

    assert files.tokenizer is None
    assert load_planner(files).embed_tokens.weight.shape == (217_204, 8)


def test_a_head_that_repeats_the_table_is_dropped_and_another_one_is_used(tmp_path):
    path = qwen_file(tmp_path / "plain.safetensors", prefix="model.")
    table = load_file(path)["model.embed_tokens.weight"]
    for own_head, tied in ((table.clone(), True), (-table, False)):
        save_file({**load_file(path), "lm_head.weight": own_head}, tmp_path / "headed.safetensors")
        planner = load_planner(open_planner(tmp_path / "headed.safetensors"))
        assert (planner.lm_head is None) is tied
        assert torch.equal(planner.rows(slice(3, 9), own_head.device, own_head.dtype), own_head[3:9])


def test_a_head_of_another_shape_is_refused(tmp_path):
    head = {"lm_head.weight": torch.zeros(217_203, 8)}
    with pytest.raises(UnsupportedCheckpointError, match=r"of another shape \(lm_head.weight"):
        load_planner(open_planner(qwen_file(tmp_path / "odd.safetensors", **head)))


@pytest.mark.parametrize("dtype", [None, torch.float32, torch.bfloat16])
def test_weights_come_in_the_dtype_asked_for_or_as_they_are(tiny_turbo, dtype):
    planner = load_planner(open_planner(layouts(tiny_turbo)["single file"]), nn, dtype)

    assert {weight.dtype for weight in planner.parameters()} == {dtype or torch.float32}
    assert not any(weight.requires_grad for weight in planner.parameters())
    assert not list(planner.buffers())


def test_the_folder_brings_a_tokenizer_with_all_codes(tiny_turbo):
    tokenizer = load_planner_tokenizer(open_planner(layouts(tiny_turbo)["folder"]))

    assert (tokenizer.codes, tokenizer.first_code) == (64_000, FIRST_CODE)
    assert tokenizer.special("<|audio_code_65534|>") == SIZES["vocab_size"] - 1  # named, but no code
    assert tokenizer.special("<|im_end|>") == END
    assert tokenizer.ids("# Caption") == load_tokenizer(open_checkpoint(tiny_turbo / "official")).ids(
        "# Caption"
    )


def test_a_file_takes_the_tokenizer_of_the_host(tiny_turbo, comfyui_dir):
    bundled = comfyui_dir / "comfy" / "text_encoders" / "qwen25_tokenizer"
    files = open_planner(layouts(tiny_turbo)["single file"])
    tokenizer = load_planner_tokenizer(files, bundled)

    assert (tokenizer.codes, tokenizer.first_code) == (64_000, FIRST_CODE)
    assert tokenizer.special_ids == TextTokenizer.from_comfyui(bundled).special_ids
    with pytest.raises(UnsupportedCheckpointError, match="planner comes without a tokenizer"):
        load_planner_tokenizer(files)


def test_a_tokenizer_is_read_once_until_the_file_changes_and_a_planner_has_its_grammar(folder):
    first, again = (load_planner_tokenizer(open_planner(folder)) for _ in range(2))
    assert first is again
    assert Planner.of(None, first).grammar.tokenizer is first

    os.utime(folder / "tokenizer.json", ns=(1, 1))
    changed = load_planner_tokenizer(open_planner(folder))
    assert changed is not first
    assert Planner.of(None, changed).grammar.tokenizer is changed


def test_a_tokenizer_without_codes_is_refused(tiny_turbo, folder):
    shutil.copy(tiny_turbo / "official" / "Qwen3-Embedding-0.6B" / "tokenizer.json", folder)
    with pytest.raises(UnsupportedCheckpointError, match="names 0 audio codes instead of 64000"):
        load_planner_tokenizer(open_planner(folder))


FOREIGN = {
    "official/acestep-v15-turbo": "acestep-v15-turbo is no planner: it is an ACE-Step 1.5 model",
    "official/acestep-v15-turbo/model.safetensors": "model.safetensors is no planner: it is an ACE-Step 1.5 model",
    "comfy/diffusion_models/acestep_v1.5_turbo.safetensors": "no planner: it is an ACE-Step 1.5 model",
    "official/vae": "folder vae is no planner but a AutoencoderOobleck",
    "comfy/vae/ace_1.5_vae.safetensors": "no planner: it is an Oobleck VAE",
    "official/Qwen3-Embedding-0.6B": "Qwen3-Embedding-0.6B is the text encoder of ACE-Step 1.5",
    "comfy/text_encoders/qwen_0.6b_ace15.safetensors": "is the text encoder of ACE-Step 1.5",
    "diffusers": r"config.json cannot be read",
    "official/none.safetensors": "is not a file",
}


@pytest.mark.parametrize("path", FOREIGN)
def test_what_is_no_planner_is_refused_by_what_it_is(tiny_turbo, path):
    with pytest.raises(UnsupportedCheckpointError, match=FOREIGN[path]):
        open_planner(tiny_turbo / path)


def test_a_file_of_everything_but_a_planner_says_so(tiny_turbo, tmp_path):
    whole = Weights.open(layouts(tiny_turbo)["file of everything"])
    rest = {key: value for key, value in whole.items() if "qwen3_2b" not in key}
    save_file(rest, tmp_path / "aio.safetensors")
    with pytest.raises(
        UnsupportedCheckpointError, match=r"aio.safetensors holds no planner: it is an ACE-Step"
    ):
        open_planner(tmp_path / "aio.safetensors")


@pytest.mark.parametrize("rows", [151_936, 151_668, 215_668])
def test_a_qwen3_without_all_codes_is_refused(rows, tmp_path):
    with pytest.raises(
        UnsupportedCheckpointError, match=f"another Qwen3: it knows {rows} tokens, and no audio"
    ):
        open_planner(qwen_file(tmp_path / "chat.safetensors", rows))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"head_dim": None}, "planner's config.json lacks head_dim"),
        ({"model_type": "qwen2"}, "planner is a qwen2"),
        ({"attention_bias": True}, "planner wants an unknown attention_bias"),
    ],
)
def test_a_config_that_we_do_not_compute_is_refused(folder, change, said):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **change}))
    with pytest.raises(UnsupportedCheckpointError, match=said) as refused:
        open_planner(folder)
    assert PLANNER_FOLDER in refused.value.remedy


@pytest.mark.parametrize(
    ("lost", "said"),
    [
        ("config.json", "config.json cannot be read"),
        ("model.safetensors", "holds neither model.safetensors nor"),
        ("tokenizer.json", "has no tokenizer.json"),
    ],
)
def test_a_folder_that_lacks_a_file_says_which(folder, lost, said):
    (folder / lost).unlink()
    with pytest.raises(UnsupportedCheckpointError, match=said):
        open_planner(folder)


def test_a_weight_that_is_missing_is_named(folder):
    weights = load_file(folder / "model.safetensors")
    del weights["layers.1.mlp.up_proj.weight"]
    save_file(weights, folder / "model.safetensors")
    with pytest.raises(UnsupportedCheckpointError, match=r"missing \(layers.1.mlp.up_proj.weight"):
        load_planner(open_planner(folder))
