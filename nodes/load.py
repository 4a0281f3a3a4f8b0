"""Load ACE-Step: files from ComfyUI's folders become model, text encoder and VAE."""

from functools import partial
from pathlib import Path, PurePath
from typing import NamedTuple

import torch
from comfy_api.latest import io
from torch import nn

from ..acestep_core.checkpoints.checkpoint import VAE_FILE, Checkpoint
from ..acestep_core.checkpoints.kinds import Kind, kind_of_folder
from ..acestep_core.checkpoints.layouts import open_checkpoint
from ..acestep_core.checkpoints.load import (
    load_codec,
    load_condition_encoder,
    load_silence,
    load_text_encoder,
    load_tokenizer,
    load_transformer,
    load_vae,
    name_of,
)
from ..acestep_core.checkpoints.variants import Variant
from ..acestep_core.errors import InvalidInputError
from ..acestep_core.files import is_folder
from ..acestep_core.interface import AUTO
from ..acestep_core.networks.condition_encoder import ConditionEncoder
from ..acestep_core.networks.oobleck import Oobleck
from ..acestep_core.networks.qwen3 import TEXT_FILE, TEXT_FOLDER
from ..acestep_core.networks.text_encoder import TextEncoder as Qwen
from ..acestep_core.silence import Silence
from ..acestep_core.text.conditions import Conditioner
from .host import folders, runtime
from .host.native_model import NativeModel
from .host.node import Node
from .host.runtime import OPS, WEIGHT_DTYPES, Bar, Managed, Role
from .runs.precision import dtype_of, network, slow_remark
from .wires.schema import advanced, of_files, report_output, schema
from .wires.sockets import Model, ModelHandle, TextEncoder, TextHandle, Vae, VaeHandle

NO_MODEL = "put a model into models/acestep"
MODEL_KEYS = ("diffusion_models", "checkpoints")
TURBO_FOLDER, TURBO_FILE = "acestep-v15-turbo", "ace_step_1.5_turbo_aio.safetensors"
PUBLISHED = {TEXT_FILE: ("text_encoders", "text encoder"), VAE_FILE: ("vae", "VAE")}
PROBE = "decoder.layers.0.self_attn.q_proj.weight"  # tells the dtype of a file


class Selection(NamedTuple):
    """What the pickers of the node say."""

    model: str
    text_encoder: str
    vae: str
    variant: str


class Encoders(nn.Module):
    """Text and condition encoder as one network, which ComfyUI loads and evicts as one."""

    def __init__(self, text: Qwen, condition_encoder: ConditionEncoder) -> None:
        super().__init__()
        self.text = text
        self.condition_encoder = condition_encoder


class Load(Node):
    """Open a checkpoint in any layout."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        folders.register_folder()
        models = sorted([*folders.folders_in(Kind.MODEL), *folders.files_in(*MODEL_KEYS)], key=unlikely)
        texts = [AUTO, *folders.folders_in(Kind.TEXT_ENCODER), *folders.files_in("text_encoders")]
        vaes = [AUTO, *folders.folders_in(Kind.VAE), *folders.files_in("vae")]
        return schema(
            "loaders",
            node_id="AceGraphLoad",
            display_name="Load ACE-Step",
            description="Opens an ACE-Step 1.5 checkpoint: a folder in models/acestep, an all-in-one file in "
            "models/checkpoints, or split files in models/diffusion_models, text_encoders and vae.",
            search_aliases=["acestep", "ace step", "music model", "song", "music", "checkpoint loader"],
            inputs=[
                of_files(
                    io.Combo.Input(
                        "model",
                        options=models or [NO_MODEL],
                        tooltip="The music model. A folder or an all-in-one file brings the text encoder and the VAE along.",
                    )
                ),
                of_files(
                    io.Combo.Input(
                        "text_encoder",
                        options=texts,
                        default=AUTO,
                        tooltip=f"auto: what lies in or beside the model, else {TEXT_FILE} in models/text_encoders.",
                    )
                ),
                of_files(
                    io.Combo.Input(
                        "vae",
                        options=vaes,
                        default=AUTO,
                        tooltip=f"auto: what lies in or beside the model, else {VAE_FILE} in models/vae.",
                    )
                ),
                io.Combo.Input(
                    "weight_dtype",
                    options=[AUTO, *WEIGHT_DTYPES],
                    default=AUTO,
                    tooltip="How weights are kept in memory. auto fits the machine; fp8 halves the memory and costs some quality.",
                ),
                advanced(
                    io.Combo.Input(
                        "variant",
                        options=[AUTO, *(variant.value for variant in Variant)],
                        default=AUTO,
                        tooltip="auto reads it from config.json or the file's name. Set it for renamed or merged files: "
                        "turbo samples in 8 steps without guidance, base and sft in 50 with guidance.",
                    )
                ),
            ],
            outputs=[
                Model.Output(display_name="model", tooltip="Transformer and semantic tokenizer."),
                TextEncoder.Output(display_name="text_encoder", tooltip="For Encode Conditions."),
                Vae.Output(
                    display_name="vae", tooltip="For Oobleck Encode and Decode, and Reference Timbre."
                ),
                report_output(),
            ],
        )

    @classmethod
    def execute(
        cls, model: str, text_encoder: str, vae: str, weight_dtype: str, variant: str = AUTO
    ) -> io.NodeOutput:
        wanted = dtype_of(weight_dtype, Role.TRANSFORMER)
        checkpoint = open_selection(Selection(model, text_encoder, vae, variant))
        bar = Bar(5)
        oobleck = load_vae(checkpoint, runtime.compute_dtype(Role.VAE, wanted))
        bar.move(1, 5)
        exact = next(oobleck.parameters()).dtype == torch.float32  # as a silence must be, wherever it is made
        silence = load_silence(checkpoint, oobleck if exact else None)
        bar.move(2, 5)
        music = model_handle(checkpoint, silence, wanted, model)
        bar.move(4, 5)
        text = text_handle(checkpoint, silence, wanted)
        bar.move(5, 5)
        sound = vae_handle(oobleck)
        report = opening_report(checkpoint, music, text, sound)
        remark = slow_remark(wanted, music.transformer)
        return io.NodeOutput(music, text, sound, "\n".join([report, *remark]))


def unlikely(name: str) -> bool:
    """Sorts turbo models, which are the quickest, before all others; a new node chooses the first."""
    return "turbo" not in name.lower()


def open_selection(selection: Selection) -> Checkpoint:
    """The checkpoint that the pickers name."""
    if selection.model == NO_MODEL:
        raise InvalidInputError(
            "No ACE-Step model is installed.",
            f"Put the folder {TURBO_FOLDER} (with vae and {TEXT_FOLDER} beside it) into models/acestep, "
            f"or {TURBO_FILE} into models/checkpoints, and press R to refresh.",
        )
    folders.register_folder()
    model = selected_path(selection.model, "model", Kind.MODEL, *MODEL_KEYS)
    text = selected_part(selection.text_encoder, TEXT_FILE, Kind.TEXT_ENCODER)
    vae = selected_part(selection.vae, VAE_FILE, Kind.VAE)
    return open_checkpoint(model, selection.variant, text, vae, published_file)


def selected_part(name: str, published: str, kind: Kind) -> Path | None:
    """The file or folder of a part that has a published file of its own; None for auto."""
    key, part = PUBLISHED[published]
    return None if name == AUTO else selected_path(name, part, kind, key)


def selected_path(name: str, part: str, kind: Kind, *keys: str) -> Path:
    """The file or folder that a picker names; a folder of another kind is refused before its files are read."""
    path = folders.path_of(name, *keys)
    found = kind_of_folder(path) if is_folder(path) else None
    if found not in (kind, None):
        raise InvalidInputError(
            f"The folder {name} is no {part} but {found.value}.",
            f"Choose a {part} of ACE-Step 1.5 in this picker.",
        )
    return path


def published_file(name: str) -> Path:
    """A part that the model's own files do not bring, by the name it was published under; it may lie in a subfolder."""
    key, part = PUBLISHED[name]
    found = [file for file in folders.files_in(key) if PurePath(file).name == name]
    if not found:
        raise InvalidInputError(
            f"This model file brings no {part}, and {name} is not in models/{key}.",
            f"Put {name} there, or choose another {part} in the node.",
        )
    return folders.path_of(min(found, key=len), key)


def model_handle(
    checkpoint: Checkpoint, silence: Silence, wanted: torch.dtype | None, name: str
) -> ModelHandle:
    """Transformer and semantic codec, each a network of its own for ComfyUI."""
    files = checkpoint.model_files()
    in_file = files.weights.dtype(PROBE)
    transformer = network(
        Role.TRANSFORMER,
        in_file,
        wanted,
        partial(load_transformer, checkpoint, OPS),
        partial(NativeModel, files.config),
    )
    has_codec = any(key.startswith("tokenizer.") for key in files.weights)
    codec = network(Role.CODEC, in_file, wanted, partial(load_codec, checkpoint, OPS)) if has_codec else None
    return ModelHandle(
        transformer, codec, files.config, files.variant, silence, name, lyric_heads=files.lyric_heads
    )


def text_handle(checkpoint: Checkpoint, silence: Silence, wanted: torch.dtype | None) -> TextHandle:
    """Text and condition encoder as one network, and the conditioner that uses them."""
    files = checkpoint.model_files()

    def load(dtype: torch.dtype | None) -> Encoders:
        text = load_text_encoder(checkpoint, OPS, dtype)
        return Encoders(text, load_condition_encoder(checkpoint, OPS, dtype))

    managed = network(Role.TEXT, files.weights.dtype(PROBE), wanted, load)
    tokenizer = load_tokenizer(checkpoint, folders.bundled_qwen())
    encoders: Encoders = managed.network
    conditioner = Conditioner(
        tokenizer, encoders.text, encoders.condition_encoder, silence, files.knows_stems
    )
    return TextHandle(managed, conditioner, files.variant.is_turbo)


def vae_handle(oobleck: Oobleck) -> VaeHandle:
    """The VAE, whose layers cannot fetch their weights."""
    return VaeHandle(Managed(oobleck, Role.VAE, next(oobleck.parameters()).dtype, whole=True))


def opening_report(checkpoint: Checkpoint, model: ModelHandle, text: TextHandle, vae: VaeHandle) -> str:
    """What was opened and how it is kept."""
    codec = "" if model.codec else "; no semantic tokenizer, so no covers by codes"
    stored = "stored with the model" if checkpoint.model_files().silence is not None else "made by the VAE"
    tokenizer = (
        "ComfyUI's Qwen files"
        if checkpoint.text_files().tokenizer is None
        else "of the text encoder's folder"
    )
    parts = {"transformer": model.transformer, "text encoder": text.encoders, "VAE": vae.vae}
    sizes = [f"{name}: {part} in {name_of(part.dtype)} on {part.device}" for name, part in parts.items()]
    sizes[-1] += f", from {checkpoint.vae_files().origin}"
    return "\n".join(
        [f"{model.name}: {model.variant.value}{codec}", *sizes, f"Silence: {stored}; tokenizer: {tokenizer}"]
    )
