"""What is said of a file that is no adapter, none that can be read, or none of the network at hand."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from ..checkpoints.key_maps import LANDMARK, kind_of
from ..checkpoints.tensor_file import TensorFile, few
from ..checkpoints.weights import Weights
from ..errors import InvalidInputError, UnsupportedCheckpointError
from .formulas import Extent
from .keys import Part, Place
from .training_settings import EXPORT_AGAIN, MERGE

PICKLES = (".bin", ".pt", ".pth", ".ckpt")
SHOULD_BE = "Choose an adapter that was trained on ACE-Step 1.5."
FOREIGN: Mapping[str, str] = {  # part of a key -> whose adapter it is; the first that is found counts
    "genre_embedder": "ACE-Step 1",
    "speaker_embedder": "ACE-Step 1",
    "input_blocks": "Stable Diffusion",
    "down_blocks": "Stable Diffusion",
    "lora_te": "Stable Diffusion",
    "double_blocks": "another diffusion transformer",
    "single_blocks": "another diffusion transformer",
    "joint_blocks": "another diffusion transformer",
    "transformer_blocks": "another diffusion transformer",
}
FOREIGN_KINDS: Mapping[str, str] = {  # end of a key -> an adapter of a kind that is not read here
    ".on_input": "IA3",
    ".ia3_l": "IA3",
    ".lora_E": "AdaLoRA",
    ".lambda_layer": "T-LoRA",
    ".vera_lambda_b": "VeRA",
    ".boft_R": "BOFT",
    ".lora_magnitude": "an unknown kind of DoRA",
}


class Unused(NamedTuple):
    """A part of the file that changes nothing, and why."""

    name: str
    why: str


class Misfit(NamedTuple):
    """A weight that the adapter was not made for."""

    place: Place
    made_for: Extent
    wanted: Extent


def refuse_pickle(path: Path) -> None:
    """Unpickling runs whatever the file says, so no pickle is opened, under whichever name."""
    if path.suffix in PICKLES or "pickle" in (TensorFile(path).verdict() or ""):
        raise UnsupportedCheckpointError(
            f"{path.name} is a PyTorch pickle, which could run any program.",
            "Save it as .safetensors with the program that trained it.",
        )


def opened(path: Path) -> Weights:
    """The tensors of an adapter file. Its first bytes are judged only if it cannot be opened: a length begins alike."""
    if path.suffix in PICKLES:
        refuse_pickle(path)
    try:
        return Weights.open(path)
    except UnsupportedCheckpointError:
        if path.is_file():
            refuse_pickle(path)
        raise


def refuse_foreign_kinds(keys: Iterable[str], name: str) -> None:
    """Kinds of adapters that are known and not read."""
    for key in keys:
        for ending, kind in FOREIGN_KINDS.items():
            if key.endswith(ending) or f"{ending}." in key:
                raise UnsupportedCheckpointError(
                    f"{name} is a {kind} adapter, which is not read here.", MERGE
                )


def damaged(name: str, module: str) -> UnsupportedCheckpointError:
    """What to say of tensors that make no sense together."""
    return UnsupportedCheckpointError(
        f"{name} is damaged: the tensors of {module} do not belong together.", EXPORT_AGAIN
    )


def useless(
    name: str, keys: Iterable[str], elsewhere: Mapping[Part, int], unused: Iterable[Unused]
) -> InvalidInputError:
    """What to say of an adapter that changes none of the networks at hand."""
    names = list(keys)
    owners = [owner for part, owner in FOREIGN.items() if any(part in key for key in names)]
    if owners:
        return InvalidInputError(f"{name} is a LoRA for {owners[0]}, not for ACE-Step 1.5.", SHOULD_BE)
    if elsewhere:
        part = max(elsewhere, key=lambda part: elsewhere[part]).value
        return InvalidInputError(
            f"{name} is an adapter for the {part}.", f"Connect the {part} that it was made for."
        )
    reasons = list(unused)
    first, why = few({found.name for found in reasons}, 2), few({found.why for found in reasons}, 2)
    return InvalidInputError(f"{name} changes nothing here: {first} ({why}).", SHOULD_BE)


def misfitting(name: str, misfits: list[Misfit]) -> InvalidInputError:
    """What to say of an adapter for another size of the model."""
    for misfit in misfits:
        layer = misfit.place.module.rpartition(".")[2]
        side = 1 if layer in ("q_proj", "k_proj", "v_proj", "gate_proj", "up_proj") else 0
        made_for, wanted = misfit.made_for[side], misfit.wanted[side]
        inner = layer.endswith("_proj") and misfit.place.module.startswith("layers.")
        if inner and made_for is not None and made_for != wanted:
            return InvalidInputError(
                f"{name} was made for {size_of(misfit.place.part, made_for)}, this one has {wanted}.",
                "Load the model that it was trained on.",
            )
    first = misfits[0]
    return InvalidInputError(
        f"{name} does not fit: it has {first.made_for} for {first.place.module}, which has {first.wanted}.",
        "Load the model that it was trained on.",
    )


def size_of(part: Part, width: int) -> str:
    """A size of a network in words."""
    known = {2048: "the 2B model", 2560: "the XL model"} if part is Part.TRANSFORMER else {}
    return f"{known.get(width, f'another {part.value}')} (width {width})"


def not_an_adapter(keys: Iterable[str], name: str) -> UnsupportedCheckpointError:
    """What to say of a file in which nothing is an adapter's."""
    names = list(keys)
    if not names:
        return UnsupportedCheckpointError(f"{name} holds no adapter weights.", "Download or export it again.")
    kind = kind_of(names)
    remedy = "Choose it in Load ACE-Step." if LANDMARK in " ".join(names) else SHOULD_BE
    return UnsupportedCheckpointError(f"{name} is {kind}, not an adapter.", remedy)
