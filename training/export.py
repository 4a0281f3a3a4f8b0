"""Writes what was made as a checkpoint in the official layout, as it is loaded like any other.

python -m training.export GENERATOR CODEC CODES OUT

OUT/acestep-v15-base/        config.json, model.safetensors, silence_latent.pt
OUT/vae/                     config.json, diffusion_pytorch_model.safetensors
OUT/Qwen3-Embedding-0.6B/    config.json, model.safetensors, tokenizer.json, tokenizer_config.json
"""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from . import clock, words
from .filterbank import VAE_CONFIG
from .network import MODEL_CONFIG, TEXT_CONFIG, TinyModel

MODEL, VAE, TEXT = "acestep-v15-base", "vae", "Qwen3-Embedding-0.6B"
WEIGHTS = "model.safetensors"
SILENCE_FRAMES = 3000  # two minutes; after them the beat begins anew
LIMIT = 16_000_000  # bytes of the whole
TOKENIZER_CONFIG = {
    "tokenizer_class": "PreTrainedTokenizerFast",
    "eos_token": "<|endoftext|>",
    "pad_token": "<|endoftext|>",
    "padding_side": "right",
    "clean_up_tokenization_spaces": False,
    "model_max_length": 131_072,
}

Named = Mapping[str, Tensor]


def model_tensors(average: Named, codes: Named) -> dict[str, Tensor]:
    """Transformer, condition encoder, tokenizer and detokenizer under official names."""
    named = {f"decoder.{name}": weight for name, weight in under(average, "dit.").items()}
    named["null_condition_emb"] = named.pop("decoder.null_condition_emb")
    named |= {f"encoder.{name}": weight for name, weight in under(average, "encoder.").items()}
    return named | dict(codes)


def text_tensors(average: Named) -> dict[str, Tensor]:
    """The text encoder; tokens that mean the same get the same row."""
    named = under(average, "text.")
    named["embed_tokens.weight"] = average["table"][list(words.rows_of_tokens())]
    return named


def read(folder: Path) -> TinyModel:
    """The networks of an exported checkpoint, to be taught more."""
    tensors, text = load_file(folder / MODEL / WEIGHTS), load_file(folder / TEXT / WEIGHTS)
    model, rows = TinyModel(), words.rows_of_tokens()
    embedded = text.pop("embed_tokens.weight").float()
    named = {f"dit.{name}": weight for name, weight in under(tensors, "decoder.").items()}
    named |= {f"encoder.{name}": weight for name, weight in under(tensors, "encoder.").items()}
    named |= {f"text.{name}": weight for name, weight in text.items()}
    named["dit.null_condition_emb"] = tensors["null_condition_emb"]
    named["table"] = embedded[[rows.index(row) for row in range(len(words.meanings()))]]
    named["text.embed_tokens.weight"] = model.text.get_submodule("embed_tokens").weight
    model.load_state_dict({name: weight.float() for name, weight in named.items()})
    return model


def under(tensors: Named, prefix: str) -> dict[str, Tensor]:
    """Those whose name begins with the prefix, without it."""
    return {name.removeprefix(prefix): weight for name, weight in tensors.items() if name.startswith(prefix)}


def silence_latent() -> Tensor:
    """The counting silence as the official file holds it: [1, 64, frames]."""
    return torch.from_numpy(clock.silence(0, SILENCE_FRAMES)).T[None].half().contiguous()


def write(out: Path, average: Named, vae: Named, codes: Named) -> int:
    """All folders; their size in bytes."""
    store(out / MODEL, "model", model_tensors(average, codes), MODEL_CONFIG, torch.bfloat16)
    store(
        out / TEXT,
        "model",
        text_tensors(average),
        {**TEXT_CONFIG, "vocab_size": words.count()},
        torch.bfloat16,
    )
    store(out / VAE, "diffusion_pytorch_model", vae, VAE_CONFIG, None)
    torch.save(silence_latent(), out / MODEL / "silence_latent.pt")
    (out / TEXT / "tokenizer.json").write_text(words.tokenizer_json(), encoding="utf-8")
    write_json(out / TEXT / "tokenizer_config.json", TOKENIZER_CONFIG)
    return sum(file.stat().st_size for file in out.rglob("*") if file.is_file())


def store(
    folder: Path, stem: str, tensors: Named, config: Mapping[str, Any], dtype: torch.dtype | None
) -> None:
    """One part: weights in a dtype (None: as they are), and its sizes."""
    folder.mkdir(parents=True, exist_ok=True)
    said = {} if dtype is None else {"torch_dtype": str(dtype).removeprefix("torch.")}
    write_json(folder / "config.json", {**config, **said})
    kept = {
        name: (weight if dtype is None else weight.to(dtype)).contiguous() for name, weight in tensors.items()
    }
    save_file(kept, folder / f"{stem}.safetensors", metadata={"format": "pt"})


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Readable JSON."""
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def main() -> None:
    """Export from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in ("generator", "codec", "codes", "out"):
        parser.add_argument(name, type=Path)
    given = parser.parse_args()
    average = torch.load(given.generator, map_location="cpu", weights_only=False)["average"]
    vae, codes = torch.load(given.codec), torch.load(given.codes)
    size = write(given.out, average, vae, codes)
    print(f"{given.out}: {size / 1e6:.2f} MB")
    if size > LIMIT:
        raise SystemExit(f"That is more than {LIMIT / 1e6:.0f} MB.")


if __name__ == "__main__":
    main()
