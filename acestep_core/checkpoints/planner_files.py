"""The files of a planner: its official folder, ComfyUI's file of its own, or the part of a file of everything."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch

from ..errors import UnsupportedCheckpointError
from ..files import is_file
from ..networks.config import AUDIO_CODES, TEXT_ROWS
from ..networks.layers import LayerOps
from ..networks.qwen3 import Qwen3Sizes
from ..planner.network import PlannerNetwork
from ..text.tokenizer import TextTokenizer
from . import key_maps
from .kinds import TOKENIZER, knows_codes, qwen_config, qwen_folder, require_tokenizer
from .layouts import NATIVE_STEM
from .load import PLAIN
from .shapes import refuse_absent_layers
from .shards import open_folder
from .weights import Weights, load_exactly

PLANNER_FOLDER, PLANNER_FILE = "acestep-5Hz-lm-1.7B", "qwen_1.7b_ace15.safetensors"
CHOOSE = f"Choose a planner of ACE-Step 1.5, such as {PLANNER_FOLDER} or {PLANNER_FILE}."
TABLE = "embed_tokens.weight"
TOKENIZERS = (
    1  # kept after they were read: seconds to read, the same for every planner, and nobody writes to one
)
LANDMARKS = frozenset({TABLE, "layers.0.self_attn.q_norm.weight"})

ReadTokenizer = Callable[[Path], TextTokenizer]


@dataclass(frozen=True, slots=True, eq=False)
class PlannerFiles:
    """A planner, found and described but not yet read."""

    weights: Weights  # names without a leading `model.`; with `lm_head.weight` if it differs from the table
    sizes: Qwen3Sizes
    tokenizer: Path | None  # folder with a tokenizer.json; None: the Qwen vocabulary of the host


def open_planner(path: Path) -> PlannerFiles:
    """A planner's folder or file; a file inside such a folder counts as the folder."""
    folder = qwen_folder(path)
    if folder is not None:
        return open_planner_folder(folder)
    weights = planner_weights(Weights.open(path), path.name)
    return PlannerFiles(
        weights, Qwen3Sizes.from_shapes(weights.shapes(), "planner", PLANNER_FILE), tokenizer=None
    )


def open_planner_folder(folder: Path) -> PlannerFiles:
    """A folder with config.json, weights and tokenizer.json."""
    raw = qwen_config(folder, "planner", CHOOSE)
    weights = planner_weights(open_folder(folder, NATIVE_STEM), folder.name)
    require_tokenizer(folder)
    sizes = Qwen3Sizes.from_json(raw, "planner", PLANNER_FOLDER)
    refuse_absent_layers(weights.shapes(), {"": sizes.num_hidden_layers})
    return PlannerFiles(weights, sizes, folder)


def planner_weights(whole: Weights, origin: str) -> Weights:
    """The planner among these tensors, or an error that says what they are instead."""
    parts = [part for prefix in key_maps.COMFYUI_PLANNERS if (part := whole.under(prefix))]
    found = (parts[0] if parts else whole).renamed(lambda key: key.removeprefix(key_maps.QWEN_PREFIX))
    if not found.keys() >= LANDMARKS:
        holds = "holds no planner: it" if whole.under(key_maps.COMFYUI_MODEL) else "is no planner: it"
        raise UnsupportedCheckpointError(f"{origin} {holds} is {key_maps.kind_of(whole)}.", CHOOSE)
    rows = found.shape(TABLE)[0]
    if rows == TEXT_ROWS:
        raise UnsupportedCheckpointError(
            f"{origin} is the text encoder of ACE-Step 1.5, which writes nothing.", CHOOSE
        )
    if not knows_codes(rows):
        raise UnsupportedCheckpointError(
            f"{origin} is another Qwen3: it knows {rows} tokens, and no audio codes among them.", CHOOSE
        )
    return without_tied_head(found)


def without_tied_head(weights: Weights) -> Weights:
    """A head that repeats the embedding table says nothing; one of its own stays."""
    head = key_maps.QWEN_HEAD
    if head not in weights or weights.shape(head) != weights.shape(TABLE):
        return weights
    tied = torch.equal(weights[head], weights[TABLE])
    return weights.renamed(key_maps.qwen_name) if tied else weights


def load_planner(
    files: PlannerFiles, ops: LayerOps = PLAIN, dtype: torch.dtype | None = None
) -> PlannerNetwork:
    """The network. dtype None: the file's own memory, nothing is copied."""
    tied = key_maps.QWEN_HEAD not in files.weights
    return load_exactly(lambda: PlannerNetwork(files.sizes, ops, tied), files.weights, dtype)


def load_planner_tokenizer(files: PlannerFiles, bundled: Path | None = None) -> TextTokenizer:
    """The planner's tokenizer, codes included; `bundled` is the host's folder of Qwen files, for single files."""
    if files.tokenizer is not None:
        tokenizer = tokenizer_of(TextTokenizer.from_folder, files.tokenizer)
    elif bundled is not None:
        tokenizer = tokenizer_of(TextTokenizer.from_comfyui, bundled)
    else:
        raise UnsupportedCheckpointError(
            "The planner comes without a tokenizer.",
            f"Use the folder {PLANNER_FOLDER}, which brings its {TOKENIZER}.",
        )
    last = (tokenizer.first_code or 0) + tokenizer.codes
    if tokenizer.codes != AUDIO_CODES or last > files.sizes.vocab_size:
        raise UnsupportedCheckpointError(
            f"The planner's tokenizer names {tokenizer.codes} audio codes instead of {AUDIO_CODES}.",
            f"Download {TOKENIZER} of {PLANNER_FOLDER} again.",
        )
    return tokenizer


def tokenizer_of(read: ReadTokenizer, folder: Path) -> TextTokenizer:
    """What `read` makes of a folder; it is read again where a file of it has changed."""
    stamp = tuple((path.name, path.stat().st_mtime_ns) for path in sorted(folder.glob("*")) if is_file(path))
    return kept_tokenizer(read, folder, stamp)


@lru_cache(TOKENIZERS)
def kept_tokenizer(
    read: ReadTokenizer,
    folder: Path,
    stamp: tuple[tuple[str, int], ...],  # noqa: ARG001  (part of what is remembered)
) -> TextTokenizer:
    """The tokenizer of a folder in the state that the stamp tells; the one cache of this package that outlives a run."""
    return read(folder)
