"""Names of the VAE's tensors: both key layouts and both weight-norm spellings end in the official one."""

import re
from collections.abc import Mapping, Sequence

from .config import VaeConfig
from .errors import UnsupportedCheckpointError

BLOCK_PARTS = {
    "encoder": ("res_unit1", "res_unit2", "res_unit3", "snake1", "conv1"),
    "decoder": ("snake1", "conv_t1", "res_unit1", "res_unit2", "res_unit3"),
}
UNIT_PARTS = ("snake1", "conv1", "snake2", "conv2")
SPELLINGS = {
    "parametrizations.weight.original0": "weight_g",
    "parametrizations.weight.original1": "weight_v",
}
NUMBERED = r"(encoder|decoder)\.layers\.(\d+)(?:\.layers\.(\d+))?(?:\.layers\.(\d+))?\.(\D.*)"


def official_name(key: str) -> str:
    """The official name of a VAE tensor in stable-audio's layout; any other key comes back respelt at most."""
    for newer, older in SPELLINGS.items():
        key = key.replace(newer, older)
    numbered = re.fullmatch(NUMBERED, key)
    if numbered is None:
        return key
    side, layer, part, unit_part, parameter = numbered.groups()
    if part is None:
        return f"{side}.{end_layer(int(layer), parameter)}.{parameter}"
    names = [side, "block", str(int(layer) - 1)]
    for position, choices in ((part, BLOCK_PARTS[side]), (unit_part, UNIT_PARTS)):
        if position is not None:
            if int(position) >= len(choices):
                return key
            names.append(choices[int(position)])
    return ".".join((*names, parameter))


def end_layer(position: int, parameter: str) -> str:
    """Which of the layers around the blocks it is: the first convolution, or the snake and convolution behind."""
    if position == 0:
        return "conv1"
    return "snake1" if parameter in ("alpha", "beta") else "conv2"


def vae_config_of(shapes: Mapping[str, Sequence[int]]) -> VaeConfig:
    """Sizes of the VAE whose tensors, in any layout and spelling, have these shapes."""
    named = {official_name(key): tuple(shape) for key, shape in shapes.items()}

    def convolution(name: str) -> tuple[int, ...]:
        shape = named.get(f"{name}.weight_v") or named.get(f"{name}.weight")
        if shape is None or len(shape) != 3:
            raise UnsupportedCheckpointError(
                f"The file holds no Oobleck VAE: the convolution {name} is missing.",
                "Choose the VAE of ACE-Step 1.5 (ace_1.5_vae.safetensors).",
            )
        return shape

    hidden, audio_channels, _ = convolution("encoder.conv1")
    blocks = len({key.split(".")[2] for key in named if key.startswith("encoder.block.")})
    downsampling = [convolution(f"encoder.block.{index}.conv1") for index in range(blocks)]
    return VaeConfig(
        audio_channels=audio_channels,
        encoder_hidden_size=hidden,
        downsampling_ratios=tuple(kernel // 2 for _, _, kernel in downsampling),
        channel_multiples=tuple(out // hidden for out, _, _ in downsampling),
        decoder_channels=convolution("decoder.conv2")[1],
        decoder_input_channels=convolution("decoder.conv1")[1],
    )
