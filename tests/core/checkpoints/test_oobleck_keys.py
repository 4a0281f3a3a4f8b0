"""Whatever layout and spelling a VAE's file has, the same weights come out of it."""

import math

import pytest
import torch
from safetensors.torch import load_file

from acestep_core.checkpoints.oobleck_keys import fold, layouts_of, official_name
from acestep_core.checkpoints.shapes import vae_config_of
from acestep_core.errors import UnsupportedCheckpointError
from acestep_core.networks.config import VaeConfig
from support.reference.golden import GOLDEN
from support.reference.vae import FULL, TINY, oobleck_of, reference, vaes

pytestmark = pytest.mark.filterwarnings("ignore:.*weight_norm. is deprecated:FutureWarning")

UNITS = {"encoder": ("0", "1", "2"), "decoder": ("2", "3", "4")}
ENDS = {"encoder": {"snake1": "3", "conv1": "4"}, "decoder": {"snake1": "0", "conv_t1": "1"}}
INNER = {"snake1": "0", "conv1": "1", "snake2": "2", "conv2": "3"}
FOLDING = 1e-6


def stable_audio(raw):
    """Official names -> stable-audio's, and its flat Snake parameters."""
    renamed = {}
    for key, tensor in raw.items():
        side, first, *rest = key.split(".")
        if first == "block":
            index, part, *rest = rest
            if part.startswith("res_unit"):
                place = f"{UNITS[side][int(part[-1]) - 1]}.layers.{INNER[rest[0]]}"
                rest = rest[1:]
            else:
                place = ENDS[side][part]
            name = f"layers.{int(index) + 1}.layers.{place}"
        else:
            name = f"layers.{ {'conv1': 0, 'snake1': 6, 'conv2': 7}[first] }"
        flat = tensor.flatten() if rest[-1] in ("alpha", "beta") else tensor
        renamed[".".join((side, name, *rest))] = flat
    return renamed


def parametrized(raw):
    """The newer spelling of weight norm."""
    names = {"weight_g": "parametrizations.weight.original0", "weight_v": "parametrizations.weight.original1"}
    return {
        ".".join((*key.split(".")[:-1], names.get(key.split(".")[-1], key.split(".")[-1]))): v
        for key, v in raw.items()
    }


def plain(raw):
    """Weight norm already taken off, as some exports have it."""
    taken = {key: value for key, value in raw.items() if not key.endswith(("weight_g", "weight_v"))}
    for key in raw:
        if key.endswith("weight_v"):
            taken[key[:-2]] = torch._weight_norm(raw[key], raw[key[:-1] + "g"], 0)
    return taken


@pytest.mark.parametrize("layout", [dict, stable_audio])
@pytest.mark.parametrize("spelling", [dict, parametrized, plain])
def test_every_layout_and_spelling_gives_the_same_weights(layout, spelling):
    raw = vaes()[0].state_dict()
    expected, folded = fold(raw, TINY), fold(layout(spelling(raw)), TINY)
    assert expected.keys() == folded.keys()
    for key, tensor in expected.items():
        torch.testing.assert_close(folded[key], tensor, rtol=0, atol=FOLDING if spelling is plain else 0)


@pytest.mark.parametrize("layout", [dict, stable_audio])
@pytest.mark.parametrize("spelling", [dict, parametrized, plain])
@pytest.mark.parametrize("config", [TINY, FULL], ids=["tiny", "full"])
def test_sizes_are_read_off_the_shapes(layout, spelling, config):
    with torch.device("meta"):
        raw = layout(spelling(reference(config).state_dict()))
    assert vae_config_of({key: tensor.shape for key, tensor in raw.items()}) == config


def test_folding_keeps_the_files_dtype_or_takes_the_wanted_one_but_snake_is_fp32():
    raw = {key: value.bfloat16() for key, value in vaes()[0].state_dict().items()}
    for dtype, expected in ((None, torch.bfloat16), (torch.float16, torch.float16)):
        for key, tensor in fold(raw, TINY, dtype).items():
            assert tensor.dtype == (torch.float32 if key.endswith(("frequency", "amplitude")) else expected)


def test_folding_leaves_its_input_alone():
    raw = {key: value.clone() for key, value in vaes()[0].state_dict().items()}
    fold(raw, TINY)
    assert all(torch.equal(raw[key], value) for key, value in vaes()[0].state_dict().items())


@pytest.mark.parametrize(
    "key", ["decoder.conv3.weight", "encoder.layers.2.layers.9.weight_g", "encoder.conv1.scale"]
)
def test_what_is_not_understood_keeps_its_name_and_is_refused_on_loading(key):
    raw = vaes()[0].state_dict()
    with pytest.raises(RuntimeError, match="Unexpected key"):
        oobleck_of({**raw, key: torch.zeros(1)})


@pytest.mark.parametrize("half", ["weight_g", "weight_v"])
def test_half_a_weight_norm_is_refused_on_loading(half):
    raw = {key: value for key, value in vaes()[0].state_dict().items() if key != f"encoder.conv1.{half}"}
    with pytest.raises(RuntimeError, match="Missing key"):
        oobleck_of(raw)


def test_official_names_stay_as_they_are():
    assert all(official_name(key) == key for key in vaes()[0].state_dict())


def test_a_file_without_a_vae_is_refused():
    with pytest.raises(UnsupportedCheckpointError, match=r"encoder\.conv1"):
        vae_config_of({"decoder.layers.0.mlp.up_proj.weight": (4, 4)})


@pytest.mark.parametrize("beta", [1.5, -3.0, -30.0])
def test_snake_divides_by_exp_beta_and_a_little(beta):
    folded = fold({"decoder.snake1.beta": torch.tensor([[[beta]]])}, TINY)
    amplitude = folded["decoder.snake1.amplitude"]
    assert amplitude.double().item() ** -2 == pytest.approx(math.exp(beta) + 1e-9, rel=1e-5)


def test_the_config_of_the_golden_folder_is_the_tiny_one():
    raw = load_file(GOLDEN / "tiny_official/vae/diffusion_pytorch_model.safetensors")
    config: VaeConfig = vae_config_of({key: value.shape for key, value in raw.items()})
    assert config == TINY


def test_every_convolution_has_a_layout_of_its_own_and_nothing_else_has_one():
    convolutions = {
        key.removesuffix(".weight_v") for key in vaes()[0].state_dict() if key.endswith("weight_v")
    }
    assert set(layouts_of(TINY)) == convolutions


@pytest.mark.parametrize(
    "layer", ["encoder.block.0.res_unit1.conv2", "encoder.block.1.conv1", "decoder.block.0.conv_t1"]
)
def test_a_kernel_of_another_length_is_kept_as_it_is_and_refused_on_loading(layer):
    raw = plain(vaes()[0].state_dict())
    longer = torch.cat((raw[f"{layer}.weight"], raw[f"{layer}.weight"][..., :1]), -1)
    with pytest.raises(RuntimeError, match=rf"size mismatch for {layer}"):
        oobleck_of({**raw, f"{layer}.weight": longer})
