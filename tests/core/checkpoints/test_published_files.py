"""Our lists of tensors are those of the published files, byte by byte of their headers.

A safetensors file begins with the names, dtypes, shapes and places of its tensors. The sums below are those of the published
files' beginnings, so that a wrong name, a wrong shape or a missing tensor of ours would show without the weights at hand.
"""

import hashlib
import json
import math
import struct

import pytest

from support.tiny.shapes import (
    FULL_QWEN,
    FULL_SIZE,
    FULL_SIZE_XL,
    FULL_VAE,
    model_shapes,
    qwen_shapes,
    vae_shapes,
)

PLANNER = {**FULL_QWEN, "vocab_size": 217_204}
PLANNER_2B = {**PLANNER, "hidden_size": 2048, "intermediate_size": 6144}
PLANNER_4B = {
    **PLANNER,
    "hidden_size": 2560,
    "intermediate_size": 9728,
    "num_hidden_layers": 36,
    "num_attention_heads": 32,
}
PYTORCH = {"format": "pt"}
SUMS = {  # of header and the number before it
    "acestep-v15-turbo": "1b5ffdcb5660c9ca5bf91ad3867afc266b2697ba962e6580fd5675f82ca344f1",
    "Qwen3-Embedding-0.6B": "1ff013283b0190994f5557f04301841482bcba6c006dd557fcb15563d4f1768b",
    "vae": "ee65a4b1609150f6be18b8b164c77f340a326c3a5912acc686ea5227f60c9528",
    "acestep-5Hz-lm-0.6B": "d5edc2f6c305615da41909d7bdf90088d317ccf19ff039cc4406c57abdfb8e0c",
}


def prefixed(shapes):
    return {f"model.{key}": shape for key, shape in shapes.items()}


def beginning(shapes, about=None):
    """The first bytes of a bf16 file with these tensors, and how long the whole file is."""
    header = {"__metadata__": about} if about else {}
    end = 0
    for name in sorted(shapes):
        start, end = end, end + 2 * math.prod(shapes[name])
        header[name] = {"dtype": "BF16", "shape": list(shapes[name]), "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text, 8 + len(text) + end


@pytest.mark.parametrize(
    ("name", "shapes", "about"),
    [
        ("acestep-v15-turbo", model_shapes(FULL_SIZE), PYTORCH),
        ("Qwen3-Embedding-0.6B", qwen_shapes(FULL_QWEN), PYTORCH),
        ("vae", vae_shapes(FULL_VAE), PYTORCH),
        ("acestep-5Hz-lm-0.6B", prefixed(qwen_shapes(PLANNER)), None),
    ],
)
def test_the_beginning_of_the_file_is_the_published_one(name, shapes, about):
    assert hashlib.sha256(beginning(shapes, about)[0]).hexdigest() == SUMS[name]


@pytest.mark.parametrize(
    ("size", "shapes"),
    [
        (3_708_521_528, qwen_shapes(PLANNER_2B)),  # acestep-5Hz-lm-1.7B
        (1_191_588_248, prefixed(qwen_shapes(FULL_QWEN))),  # qwen_0.6b_ace15
        (3_708_523_360, prefixed(qwen_shapes(PLANNER_2B))),  # qwen_1.7b_ace15
        (8_379_154_232, prefixed(qwen_shapes(PLANNER_4B))),  # qwen_4b_ace15
        (9_974_719_892, model_shapes(FULL_SIZE_XL)),  # acestep_v1.5_xl_turbo_bf16
    ],
)
def test_a_file_of_our_tensors_is_as_long_as_the_published_one(size, shapes):
    assert size in {beginning(shapes, about)[1] for about in (PYTORCH, None)}
