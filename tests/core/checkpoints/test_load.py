"""Networks out of checkpoints of every layout and precision."""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from acestep_core.checkpoints import load
from acestep_core.checkpoints.checkpoint import Checkpoint
from acestep_core.checkpoints.layouts import open_checkpoint
from acestep_core.errors import UnsupportedCheckpointError
from acestep_core.networks.audio_codes import AudioCodec
from acestep_core.networks.condition_encoder import ConditionEncoder
from acestep_core.networks.config import ModelConfig
from acestep_core.networks.dit import DiffusionTransformer
from acestep_core.silence import Silence
from support.tiny.checkpoint import PLANNER_FILE, TinyModel, tiny_model
from support.tiny.shapes import FULL_SIZE, FULL_SIZE_XL, model_shapes

LOADERS = (
    load.load_transformer,
    load.load_condition_encoder,
    load.load_codec,
    load.load_vae,
    load.load_text_encoder,
)
GOLDEN = Path(__file__).parents[2] / "fixtures" / "golden" / "tiny_official"


def layouts(root: Path) -> dict[str, Checkpoint]:
    comfy = root / "comfy"
    files = (sorted((comfy / name).iterdir()) for name in ("diffusion_models", "text_encoders", "vae"))
    model, text, vae = ([path for path in found if path.name != PLANNER_FILE][-1] for found in files)
    official = open_checkpoint(root / "official")
    return {
        "official": official,
        "diffusers": open_checkpoint(root / "diffusers", official.model_files().variant.value),
        "split": open_checkpoint(model, text_encoder=text, vae=vae),
        "all in one": open_checkpoint(next((comfy / "checkpoints").iterdir())),
    }


def write_model(folder: Path, tensors: dict[str, Tensor]) -> Checkpoint:
    path = folder / "acestep_v1.5_turbo.safetensors"
    save_file(tensors, path)
    return open_checkpoint(path)


@pytest.fixture(scope="module")
def parts() -> TinyModel:
    return tiny_model()


@pytest.mark.parametrize("fixture", ["tiny_turbo", "tiny_base", "tiny_xl"])
@pytest.mark.parametrize("loader", LOADERS)
def test_every_layout_gives_identical_networks(request, fixture, loader):
    networks = {name: loader(found) for name, found in layouts(request.getfixturevalue(fixture)).items()}

    expected = networks["official"].state_dict()
    for name, network in networks.items():
        state = network.state_dict()
        assert state.keys() == expected.keys(), name
        assert all(torch.equal(state[key], expected[key]) for key in expected), name


@pytest.mark.parametrize("loader", LOADERS)
def test_the_golden_checkpoint_loads(loader):
    network = loader(open_checkpoint(GOLDEN))

    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())


@pytest.mark.parametrize("stored", [torch.float32, torch.bfloat16, torch.float16])
def test_the_files_dtype_is_kept_unless_another_is_asked_for(tmp_path, stored):
    checkpoint = write_model(tmp_path, tiny_model(dtype=stored).model)

    for loader in LOADERS[:3]:
        assert {parameter.dtype for parameter in loader(checkpoint).parameters()} == {stored}
        cast = loader(checkpoint, dtype=torch.bfloat16)
        assert {parameter.dtype for parameter in cast.parameters()} == {torch.bfloat16}


def test_an_fp8_file_is_the_model_within_fp8s_precision(tmp_path, parts):
    tensors, exact = {}, {}
    for key, value in parts.model.items():
        if key.startswith("decoder.layers.") and key.endswith("_proj.weight"):
            scale = value.abs().max() / 448
            tensors[key] = (value / scale).to(torch.float8_e4m3fn)
            tensors[key.replace(".weight", ".scale_weight")] = scale
            exact[key] = tensors[key].float() * scale
        else:
            tensors[key] = exact[key] = value
    tensors["scaled_fp8"] = torch.zeros(2).to(torch.float8_e4m3fn)
    transformer = load.load_transformer(write_model(tmp_path, tensors), dtype=torch.float32)

    for key, value in transformer.state_dict().items():
        expected = exact.get(f"decoder.{key}", parts.model["null_condition_emb"])
        assert torch.equal(value, expected), key
        assert (
            expected - parts.model.get(f"decoder.{key}", expected)
        ).abs().max() < 0.07 * expected.abs().max()


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux where files are mapped")
def test_a_transformer_in_the_files_dtype_lies_in_the_file(tiny_turbo):
    transformer = load.load_transformer(open_checkpoint(tiny_turbo / "official"))

    maps = Path("/proc/self/maps").read_text().splitlines()
    ends = [
        line.split()[0].split("-") for line in maps if line.endswith("acestep-v15-turbo/model.safetensors")
    ]
    spans = [range(int(start, 16), int(end, 16)) for start, end in ends]
    assert all(any(weight.data_ptr() in span for span in spans) for weight in transformer.parameters())


@pytest.mark.parametrize(
    ("raw", "tensors", "parameters"), [(FULL_SIZE, 677, 2_393_872_518), (FULL_SIZE_XL, 829, 4_987_310_726)]
)
def test_networks_of_the_real_size_want_exactly_the_published_tensors(raw, tensors, parameters):
    config = ModelConfig.from_json(raw)
    with torch.device("meta"):
        transformer = DiffusionTransformer(config, load.PLAIN).state_dict()
        encoder = ConditionEncoder(config, load.PLAIN).state_dict()
        codec = AudioCodec(config, load.PLAIN).state_dict()

    null = {"null_condition_emb": transformer.pop("null_condition_emb")}
    state = null | codec
    state |= {f"decoder.{key}": value for key, value in transformer.items()}
    state |= {f"encoder.{key}": value for key, value in encoder.items()}
    assert {key: tuple(value.shape) for key, value in state.items()} == model_shapes(raw)
    assert len(state) == tensors
    assert sum(value.numel() for value in state.values()) == parameters


@pytest.mark.parametrize(
    ("prefix", "tensors", "parameters"),
    [
        ("decoder.", 476, 1_575_458_880),
        ("encoder.", 140, 608_367_616),
        ("tokenizer.", 32, 105_032_198),
        ("detokenizer.", 28, 105_011_776),
        ("null_condition_emb", 1, 2_048),
    ],
)
def test_every_part_has_its_published_size(prefix, tensors, parameters):
    shapes = [shape for key, shape in model_shapes(FULL_SIZE).items() if key.startswith(prefix)]

    assert len(shapes) == tensors
    assert sum(torch.Size(shape).numel() for shape in shapes) == parameters


def test_a_file_without_silence_gets_the_one_its_vae_makes(tiny_turbo, parts):
    found = layouts(tiny_turbo)

    assert torch.equal(load.load_silence(found["official"]).stored, parts.silence)
    assert torch.allclose(load.load_silence(found["all in one"]).stored, parts.silence, atol=5e-5)
    vae = load.load_vae(found["split"])
    model_only = Checkpoint(model=found["split"].model)
    assert isinstance(load.load_silence(model_only, vae), Silence)
    with pytest.raises(UnsupportedCheckpointError, match="no silence latent, and there is no VAE"):
        load.load_silence(model_only)


def test_a_tokenizer_comes_from_the_folder_or_from_the_host(tiny_turbo, tmp_path):
    found = layouts(tiny_turbo)

    assert load.load_tokenizer(found["official"]).special("<|endoftext|>") == 151_643
    with pytest.raises(UnsupportedCheckpointError, match="comes without a tokenizer"):
        load.load_tokenizer(found["all in one"])
    with pytest.raises(UnsupportedCheckpointError, match=r"lacks vocab.json"):
        load.load_tokenizer(found["all in one"], bundled=tmp_path)


def test_without_codec_files_codes_are_refused(tiny_turbo, tmp_path):
    folder = shutil.copytree(
        tiny_turbo / "diffusers", tmp_path / "diffusers", ignore=shutil.ignore_patterns("audio_*")
    )
    checkpoint = open_checkpoint(folder)

    assert isinstance(load.load_transformer(checkpoint), DiffusionTransformer)
    with pytest.raises(UnsupportedCheckpointError, match="has no audio tokenizer"):
        load.load_codec(checkpoint)


def test_a_config_that_contradicts_the_weights_is_refused(tiny_turbo, tmp_path):
    folder = shutil.copytree(tiny_turbo / "official" / "acestep-v15-turbo", tmp_path / "acestep-v15-turbo")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "intermediate_size": 96}))

    with pytest.raises(
        UnsupportedCheckpointError, match=r"of another shape .*mlp.down_proj.weight \[48, 104\]"
    ):
        load.load_transformer(open_checkpoint(folder))


@pytest.mark.parametrize("loader", LOADERS)
def test_a_missing_part_is_asked_for(loader):
    with pytest.raises(UnsupportedCheckpointError, match=r"The checkpoint has no (model|VAE|text encoder)"):
        loader(Checkpoint())


def test_layers_come_from_the_given_ops(tiny_turbo):
    class Counted(nn.Linear):
        pass

    class Ops:
        Linear, Conv1d, ConvTranspose1d = Counted, nn.Conv1d, nn.ConvTranspose1d
        RMSNorm, Embedding = nn.RMSNorm, nn.Embedding

    checkpoint = open_checkpoint(tiny_turbo / "official")
    loaders: tuple[Callable[..., nn.Module], ...] = (
        load.load_transformer,
        load.load_condition_encoder,
        load.load_codec,
        load.load_text_encoder,
    )
    for loader in loaders:
        linear = [module for module in loader(checkpoint, ops=Ops).modules() if isinstance(module, nn.Linear)]
        assert linear
        assert all(type(module) is Counted for module in linear)
