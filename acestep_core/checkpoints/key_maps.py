"""Names of tensors in the layouts other than the official one, and what foreign files are known by."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from ..errors import UnsupportedCheckpointError

MODEL_PARTS = ("decoder.", "encoder.", "tokenizer.", "detokenizer.")
NULL_CONDITION = "null_condition_emb"
LANDMARK = "encoder.lyric_encoder.layers.0.input_layernorm.weight"  # what an ACE-Step 1.5 model is known by

DIFFUSERS_PARTS: Mapping[str, str] = MappingProxyType(  # folder -> official prefix
    {
        "transformer": "decoder.",
        "condition_encoder": "encoder.",
        "audio_tokenizer": "tokenizer.",
        "audio_token_detokenizer": "detokenizer.",
    }
)
DIFFUSERS_CODEC = ("audio_tokenizer", "audio_token_detokenizer")  # a diffusers pipeline may come without
DIFFUSERS_SILENCE = "silence_latent"  # a buffer of the condition encoder
DIFFUSERS_NAMES: Mapping[str, str] = MappingProxyType(  # diffusers -> official, somewhere in the name
    {
        "proj_in_conv.": "proj_in.1.",
        "proj_out_conv.": "proj_out.1.",
        ".to_q.": ".q_proj.",
        ".to_k.": ".k_proj.",
        ".to_v.": ".v_proj.",
        ".to_out.0.": ".o_proj.",
        ".norm_q.": ".q_norm.",
        ".norm_k.": ".k_norm.",
    }
)

COMFYUI_MODEL = "model.diffusion_model."
COMFYUI_VAE = "vae."
COMFYUI_TEXT_ENCODER = "text_encoders.qwen3_06b.transformer."
COMFYUI_PLANNERS = ("text_encoders.qwen3_2b.transformer.", "text_encoders.qwen3_4b.transformer.")
QWEN_PREFIX = "model."  # of a Qwen3 that was saved together with its head
QWEN_HEAD = "lm_head.weight"  # tied to the embedding table, and not needed to describe a caption

SIGNATURES: Mapping[str, str] = (
    MappingProxyType(  # part of a tensor's name -> what the file is; first match wins
        {
            "genre_embedder.": "an ACE-Step 1 model, whose layout is another",
            "lyric_embs.": "an ACE-Step 1 model, whose layout is another",
            ".lora_": "a LoRA",
            "lora_unet_": "a LoRA",
            LANDMARK: "an ACE-Step 1.5 model",
            "input_blocks.": "a Stable Diffusion model",
            "double_blocks.": "an image model",
            "joint_blocks.": "an image model",
            "transformer_blocks.": "another diffusion transformer",
            "down_blocks.": "an image model or its VAE",
            "pretransform.": "a Stable Audio model",
            "decoder.mid.": "the VAE of an image model",
            "decoder.up.": "the VAE of an image model",
            "text_model.": "a CLIP model",
            ".SelfAttention.": "a T5 text encoder",
            "embed_tokens.weight": "a language model",
            "decoder.conv1.": "an Oobleck VAE",
            "decoder.layers.1.layers.": "an Oobleck VAE",
        }
    )
)


def official_name(key: str) -> str:
    """The official name of a tensor of a diffusers component, without the component's prefix."""
    for diffusers, official in DIFFUSERS_NAMES.items():
        key = key.replace(diffusers, official)
    return key


def official_model_name(folder: str, key: str) -> str | None:
    """The official name of a tensor in a diffusers folder; None for the silence, which is no weight."""
    if folder == "condition_encoder" and key in (NULL_CONDITION, DIFFUSERS_SILENCE):
        return key if key == NULL_CONDITION else None
    return DIFFUSERS_PARTS[folder] + official_name(key)


def qwen_name(key: str) -> str | None:
    """The name of a Qwen3 tensor without the outer model's prefix; None for the head."""
    return None if key == QWEN_HEAD else key.removeprefix(QWEN_PREFIX)


def kind_of(keys: Iterable[str]) -> str:
    """What a file with tensors of these names is, in words."""
    names = list(keys)
    for part, kind in SIGNATURES.items():
        if any(part in name for name in names):
            return kind
    return f"of an unknown kind (it begins with {', '.join(sorted(names)[:3]) or 'nothing'})"


def refuse_foreign_model(keys: Iterable[str], origin: str) -> None:
    """Only decoder, encoder, tokenizer, detokenizer and the null condition make a model, and nothing besides."""
    names = list(keys)
    if LANDMARK not in names:
        raise UnsupportedCheckpointError(
            f"{origin} is {kind_of(names)}, not an ACE-Step 1.5 model.",
            "Choose an ACE-Step 1.5 model such as acestep_v1.5_turbo.safetensors.",
        )
    foreign = [name for name in names if not name.startswith(MODEL_PARTS) and name != NULL_CONDITION]
    if foreign:
        raise UnsupportedCheckpointError(
            f"{origin} holds {len(foreign)} tensors that no ACE-Step 1.5 model has ({', '.join(foreign[:3])}).",
            "Choose an unchanged ACE-Step 1.5 model.",
        )
