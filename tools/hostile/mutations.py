"""Damaged and hostile data: bytes that were turned, JSON with strange values, safetensors with strange headers, texts, tensors."""

import json
import math
import random
import struct
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

NUMBERS = (0, 1, -1, 2**31, 2**63, 10**30, 0.5, -0.0, 1e30, 1e308, math.nan, math.inf, -math.inf)
TEXTS = (
    *(
        "",
        " ",
        "\0",
        "a\0b",
        "\ud800",
        "\u202e",
        "<img src=x onerror=alert(1)>",
        "../../etc/passwd",
        "CON",
        "%s%n",
        "{0}",
    ),
    *(
        "<|im_start|>",
        "<|audio_code_1|>",
        "<think>",
        "[Verse]",
        "\U0001f3b5" * 50,
        "e" + "\u0301" * 300,
        "-" * 2_000,
        "9" * 5_000,
    ),
)
VALUES = (*NUMBERS, *TEXTS, None, True, False, [], {}, [[]], {"": None})
SPANS = (1, 2, 4, 16, 256)


def deep(depth: int = 3_000) -> Any:
    """A list in lists."""
    value: Any = []
    for _ in range(min(depth, 900)):
        value = [value]
    return value


def turned(data: bytes, dice: random.Random) -> bytes:
    """The same with bytes changed, taken out, doubled, or cut off."""
    found = bytearray(data)
    for _ in range(dice.choice((1, 1, 1, 3, 10))):
        at, span = dice.randrange(len(found) + 1), dice.choice(SPANS)
        match dice.randrange(5):
            case 0:
                found[at : at + span] = dice.randbytes(span)
            case 1:
                del found[at : at + span]
            case 2:
                found[at:at] = found[at : at + span]
            case 3:
                found[at : at + 1] = bytes([dice.choice((0, 0xFF, 0x7F, 0x80, 0x0A, 0x22))])
            case 4 if dice.random() < 0.3:
                del found[at:]
    return bytes(found)


def changed(tree: Any, dice: random.Random) -> Any:
    """Parsed JSON with a value somewhere that does not belong there, or without one."""
    if not isinstance(tree, dict | list) or not tree or dice.random() < 0.1:
        return dice.choice((*VALUES, deep()))
    copy: Any = dict(tree) if isinstance(tree, dict) else list(tree)
    keys: list[Any] = list(copy) if isinstance(copy, dict) else list(range(len(copy)))
    key = dice.choice(keys)
    if dice.random() < 0.15:
        del copy[key]
    else:
        copy[key] = changed(copy[key], dice)
    if isinstance(copy, dict) and dice.random() < 0.1:
        copy[dice.choice(TEXTS)] = dice.choice(VALUES)
    return copy


def json_of(data: bytes, dice: random.Random) -> bytes:
    """A JSON file, changed in its values or in its bytes."""
    if dice.random() < 0.3:
        return turned(data, dice)
    tree = json.loads(data)
    for _ in range(dice.choice((1, 1, 2, 5))):
        tree = changed(tree, dice)
    return json.dumps(tree).encode("utf-8", "surrogatepass")


def safetensors_of(data: bytes, dice: random.Random) -> bytes:
    """A safetensors file with a strange header, strange numbers in a tensor, or changed bytes."""
    (length,) = struct.unpack("<Q", data[:8])
    header, body = data[8 : 8 + length], data[8 + length :]
    match dice.randrange(4):
        case 0:
            header = json.dumps(changed(json.loads(header), dice)).encode("utf-8", "surrogatepass")
        case 1:
            header = turned(header, dice)
        case 2:
            found = bytearray(body)
            at = dice.randrange(max(1, len(found) // 4)) * 4
            found[at : at + 4] = struct.pack("<f", dice.choice((math.nan, math.inf, -math.inf, 1e38)))
            body = bytes(found)
        case 3:
            return turned(data, dice)
    return struct.pack("<Q", len(header)) + header + body


def text(dice: random.Random) -> str:
    """A text that somebody could paste."""
    parts = [
        dice.choice((*TEXTS, "la la", "\n", "[Chorus]\n", "bpm: 120\n", "0-3: 0.5"))
        for _ in range(dice.randrange(6))
    ]
    return "".join(parts) * dice.choice((1, 1, 1, 50))


def tensor(dice: random.Random) -> Any:
    """A tensor of any kind, or none."""
    shape = tuple(dice.choice((0, 1, 2, 3, 25, 64, 65, 150)) for _ in range(dice.randrange(5)))
    plain = torch.zeros(shape if math.prod(shape) <= 1 << 20 else (1, 64, 25))
    return dice.choice(KINDS)(plain, dice)


def endless(_: Tensor, dice: random.Random) -> Tensor:
    """As long as can be said, and no memory behind it."""
    return torch.zeros(1, 1, 1).expand(1, 64, dice.choice((10**6, 10**9, 10**12)))


DTYPES = (
    torch.complex64,
    torch.float8_e4m3fn,
    torch.int64,
    torch.bool,
    torch.uint8,
    torch.float16,
    torch.float64,
)
KINDS: tuple[Callable[[Tensor, random.Random], Any], ...] = (
    lambda plain, dice: dice.choice(VALUES),
    lambda plain, dice: plain.to_sparse() if plain.ndim else plain,
    lambda plain, dice: plain.to(dice.choice(DTYPES)),
    lambda plain, dice: plain.to("meta"),
    endless,
    *(2 * (lambda plain, dice: plain + dice.choice((math.nan, math.inf, -math.inf)),)),
    *(2 * (lambda plain, dice: torch.rand(1, 64, 25).to(dice.choice(DTYPES)),)),
    lambda plain, dice: torch.linspace(1, 0, dice.choice((1, 2, 9, 1001, 1002))),
    *(3 * (lambda plain, dice: plain,)),
)
