"""Load ACE-Step: files from ComfyUI's folders become model, text encoder and VAE."""

from dataclasses import replace
from pathlib import Path, PurePath
from typing import NamedTuple

import torch
from comfy_api.latest import io
from torch import nn

from ..acestep_core.checkpoints.checkpoint import Checkpoint
from ..acestep_core.checkpoints.layouts import open_checkpoint, open_text_encoder, open_vae
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
from ..acestep_core.networks.condition_encoder import ConditionEncoder
from ..acestep_core.networks.qwen3 import TEXT_FILE, TEXT_FOLDER
from ..acestep_core.networks.text_encoder import TextEncoder as Qwen
from ..acestep_core.silence import Silence
from ..acestep_core.text.conditions import Conditioner
from .host import folders, runtime
from .host.runtime import AUTO, OPS, WEIGHT_DTYPES, Bar, Managed, Role
from .runs.precision import dtype_of, instead, kept_in, storage
from .wires.schema import advanced, report_output, schema
from .wires.sockets import Model, ModelHandle, TextEncoder, TextHandle, Vae, VaeHandle

NO_MODEL = "put a model into models/acestep"
MODEL_KEYS = ("diffusion_models", "checkpoints")
MODEL_KINDS, TEXT_KINDS, VAE_KINDS = (
    ("acestep", "diffusers"),
    ("qwen3",),
    ("AutoencoderOobleck",),
)  # of folders
KINDS = {
    "qwen3": "a Qwen3 text encoder",
    folders.PLANNER: "a planner",
    "AutoencoderOobleck": "an Oobleck VAE",
    **dict.fromkeys(MODEL_KINDS, "a music model"),
}
VAE_FILE = "ace_1.5_vae.safetensors"
TURBO_FOLDER, TURBO_FILE = "acestep-v15-turbo", "ace_step_1.5_turbo_aio.safetensors"
PROBE = "decoder.layers.0.self_attn.q_proj.weight"  # tells the dtype of a file


class Parts(NamedTuple):
    """The pickers of the node."""

    model: str
    text_encoder: str
    vae: str
    variant: str


class Encoders(nn.Module):
    """Text and condition encoder as one network, which ComfyUI loads and evicts as one."""

    def __init__(self, text: Qwen, conditions: ConditionEncoder) -> None:
        super().__init__()
        self.text = text
        self.conditions = conditions


class Load(io.ComfyNode):
    """Open a checkpoint in any layout."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        folders.register_folder()
        models = [*folders.folders_in(*MODEL_KINDS), *folders.files_in(*MODEL_KEYS)]
        texts = [AUTO, *folders.folders_in(*TEXT_KINDS), *folders.files_in("text_encoders")]
        vaes = [AUTO, *folders.folders_in(*VAE_KINDS), *folders.files_in("vae")]
        return schema(
            "loaders",
            node_id="AceGraphLoad",
            display_name="Load ACE-Step",
            description="Opens an ACE-Step 1.5 checkpoint: a folder in models/acestep, an all-in-one file in "
            "models/checkpoints, or split files in models/diffusion_models, text_encoders and vae.",
            search_aliases=["ace step", "music model", "checkpoint loader"],
            inputs=[
                io.Combo.Input(
                    "model",
                    options=models or [NO_MODEL],
                    tooltip="The music model. A folder or an all-in-one file brings the text encoder and the VAE along.",
                ),
                io.Combo.Input(
                    "text_encoder",
                    options=texts,
                    default=AUTO,
                    tooltip=f"auto: what lies in or beside the model, else {TEXT_FILE} in models/text_encoders.",
                ),
                io.Combo.Input(
                    "vae",
                    options=vaes,
                    default=AUTO,
                    tooltip=f"auto: what lies in or beside the model, else {VAE_FILE} in models/vae.",
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
        checkpoint = found(Parts(model, text_encoder, vae, variant))
        bar = Bar(5)
        oobleck = load_vae(checkpoint, runtime.compute_dtype(Role.VAE, wanted))
        bar.move(1, 5)
        exact = next(oobleck.parameters()).dtype == torch.float32  # as a silence must be, wherever it is made
        silence = load_silence(checkpoint, oobleck if exact else None)
        bar.move(2, 5)
        handle = model_handle(checkpoint, silence, wanted, model)
        bar.move(4, 5)
        text = text_handle(checkpoint, silence, wanted)
        bar.move(5, 5)
        vae_dtype = next(oobleck.parameters()).dtype
        boxed = VaeHandle(Managed(oobleck, Role.VAE, vae_dtype, whole=True))
        said = report(checkpoint, handle, text, boxed)
        return io.NodeOutput(
            handle, text, boxed, "\n".join([said, *instead(wanted, handle.transformer.dtype)])
        )


def found(parts: Parts) -> Checkpoint:
    """The checkpoint that the pickers name, with whatever auto stands for."""
    if parts.model == NO_MODEL:
        raise InvalidInputError(
            "No ACE-Step model is installed.",
            f"Put the folder {TURBO_FOLDER} (with vae and {TEXT_FOLDER} beside it) into models/acestep, "
            f"or {TURBO_FILE} into models/checkpoints, and press R to refresh.",
        )
    folders.register_folder()
    model = picked(parts.model, "model", MODEL_KINDS, *MODEL_KEYS)
    text = (
        None
        if parts.text_encoder == AUTO
        else picked(parts.text_encoder, "text encoder", TEXT_KINDS, "text_encoders")
    )
    vae = None if parts.vae == AUTO else picked(parts.vae, "VAE", VAE_KINDS, "vae")
    checkpoint = open_checkpoint(model, parts.variant, text, vae)
    if checkpoint.text is None:
        checkpoint = replaced(
            checkpoint, text=open_text_encoder(usual(TEXT_FILE, "text_encoders", "text encoder"))
        )
    if checkpoint.vae is None:
        checkpoint = replaced(checkpoint, vae=open_vae(usual(VAE_FILE, "vae", "VAE")))
    return checkpoint


def picked(name: str, part: str, kinds: tuple[str, ...], *keys: str) -> Path:
    """The file or folder that a picker names; a folder of another kind is refused before its files are read."""
    path = folders.path_of(name, *keys)
    marked = path.is_dir() and any((path / mark).is_file() for mark in folders.FOLDER_MARKS)
    kind = folders.kind_of_folder(path) if marked else "unreadable"
    if kind not in (*kinds, "unreadable"):
        raise InvalidInputError(
            f"The folder {name} is no {part} but {KINDS.get(kind, 'something unknown')}.",
            f"Choose a {part} of ACE-Step 1.5 in this picker.",
        )
    return path


def replaced(checkpoint: Checkpoint, **parts: object) -> Checkpoint:
    """The checkpoint with other parts, checked to fit."""
    return replace(checkpoint, **parts).checked()


def usual(name: str, key: str, part: str) -> Path:
    """The published single file of a part that the model's own files do not bring; it may lie in a subfolder."""
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
    computing = runtime.compute_dtype(Role.TRANSFORMER, wanted)
    stored = storage(Role.TRANSFORMER, files.weights.dtype(PROBE), wanted, computing)
    transformer = kept_in(load_transformer(checkpoint, OPS, stored), wanted)
    has_codec = any(key.startswith("tokenizer.") for key in files.weights)
    codec = Managed(load_codec(checkpoint, OPS, stored), Role.CODEC, computing) if has_codec else None
    return ModelHandle(
        Managed(transformer, Role.TRANSFORMER, computing), codec, files.config, files.variant, silence, name
    )


def text_handle(checkpoint: Checkpoint, silence: Silence, wanted: torch.dtype | None) -> TextHandle:
    """Text and condition encoder as one network, and the conditioner that uses them."""
    files = checkpoint.model_files()
    computing = runtime.compute_dtype(Role.TEXT, wanted)
    stored = storage(Role.TEXT, files.weights.dtype(PROBE), wanted, computing)
    text, conditions = (
        load_text_encoder(checkpoint, OPS, stored),
        load_condition_encoder(checkpoint, OPS, stored),
    )
    tokenizer = load_tokenizer(checkpoint, folders.bundled_qwen())
    encoders = kept_in(Encoders(text, conditions), wanted)
    conditioner = Conditioner(tokenizer, text, conditions, silence, files.knows_stems)
    return TextHandle(Managed(encoders, Role.TEXT, computing), conditioner)


def report(checkpoint: Checkpoint, model: ModelHandle, text: TextHandle, vae: VaeHandle) -> str:
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
    return "\n".join(
        [f"{model.name}: {model.variant.value}{codec}", *sizes, f"Silence: {stored}; tokenizer: {tokenizer}"]
    )
