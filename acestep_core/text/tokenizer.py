"""Text becomes token ids: the byte-level BPE of Qwen, from a checkpoint folder or from ComfyUI's own files."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ..errors import UnsupportedCheckpointError, is_full
from ..files import is_file, read_json
from ..networks.config import AUDIO_CODES
from .prompts import END_OF_TEXT, Prompt, Special

if TYPE_CHECKING:
    from tokenizers import Tokenizer

QWEN_SPLIT = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
COMFYUI_FILES = ("vocab.json", "merges.txt", "tokenizer_config.json")
# ComfyUI bundles the vocabulary of Qwen2.5; these four ids mean something else in Qwen3.
COMFYUI_RENAMES = MappingProxyType(
    {151665: "<tool_response>", 151666: "</tool_response>", 151667: "<think>", 151668: "</think>"}
)
COMFYUI_FIRST_CODE = 151669
CODE_NAME = r"<\|audio_code_([0-9]{1,6})\|>"
MAX_BYTES = 64 << 20  # of a tokenizer.json; that of a planner, audio codes included, has 24 MB
MAX_ID = 2**31
# Characters of a text after which it may be cut: first what any song fits into, then what as many of the longest
# tokens (128 characters) fill as the lyric encoder reads.
REACHES = (1 << 16, 5 << 16)
BLANK = 1 << 10  # characters before such a place among which a blank is looked for
QUOTED = 80  # characters of the library's reason that a message shows
SPECIAL_LOOK = r"<[^<>\s]+>"


@dataclass(frozen=True, slots=True)
class Tokens:
    """Token ids of one prompt, and what of it did not fit."""

    ids: tuple[int, ...]
    dropped: int = 0
    cut_text: str = ""
    more: bool = False  # whether even more did not fit, which nobody counted


class TextTokenizer:
    """Byte-level BPE of Qwen. Special tokens come from `Special` pieces alone, never out of a user's text.

    Ordinary text gets the ids of the official tokenizer. Where a user writes a special token's name, the official one
    makes the token of it, which can end a prompt early or open a turn; here it is spelt out like any other word.
    """

    def __init__(self, bpe: "Tokenizer", special_ids: Mapping[str, int]) -> None:
        """Take a tokenizer without special tokens, and the special tokens' ids by name."""
        self.bpe = bpe
        self.special_ids = dict(special_ids)
        self.special_names = {token: name for name, token in special_ids.items()}
        self.end = self.special(END_OF_TEXT.name)
        codes = sorted(
            (int(found[1]), token)
            for name, token in special_ids.items()
            if (found := re.fullmatch(CODE_NAME, name))
        )
        self.codes = min(len(codes), AUDIO_CODES)  # published planners name 65,535; no model plays the rest
        self.first_code = codes[0][1] if codes else None
        if codes != [(index, codes[0][1] + index) for index in range(len(codes))]:
            raise UnsupportedCheckpointError(
                f"The {len(codes)} audio code tokens of the tokenizer are not numbered from 0 without a gap.",
                "Download the checkpoint's tokenizer.json again.",
            )

    @classmethod
    def from_folder(cls, folder: Path) -> "TextTokenizer":
        """Read the `tokenizer.json` of a checkpoint folder."""
        from tokenizers import Tokenizer  # noqa: PLC0415  only those who have text to read pay for the import

        path = folder / "tokenizer.json"
        if not is_file(path):
            raise UnsupportedCheckpointError(
                f"{folder} has no tokenizer.json.",
                "Download the checkpoint's tokenizer.json, or choose the folder that holds it.",
            )
        raw = read_json(path, MAX_BYTES)
        if (
            not {"model", "added_tokens"} <= raw.keys()
            or (added := added_tokens(raw["added_tokens"])) is None
        ):
            raise UnsupportedCheckpointError(f"{path} is no tokenizer.", "Download that file again.")
        bare = {**raw, "added_tokens": [], "post_processor": None, "truncation": None, "padding": None}
        try:
            bpe = Tokenizer.from_str(json.dumps(bare))
            bpe.decode(bpe.encode("a b").ids)
        except (KeyboardInterrupt, SystemExit):
            raise
        except (
            BaseException
        ) as fault:  # the library promises no kind of exception, and its panics are no Exception
            if is_full(fault):
                raise
            why = str(fault)[:QUOTED]
            raise UnsupportedCheckpointError(
                f"{path} is no tokenizer that can be used ({why}).", "Download that file again."
            ) from fault
        return cls(bpe, added)

    @classmethod
    def from_comfyui(cls, folder: Path) -> "TextTokenizer":
        """Read the Qwen vocabulary that ComfyUI bundles with its text encoders."""
        from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers  # noqa: PLC0415

        missing = [name for name in COMFYUI_FILES if not is_file(folder / name)]
        if missing:
            raise UnsupportedCheckpointError(
                f"{folder} lacks {', '.join(missing)}.",
                "Update ComfyUI, or load a checkpoint folder that brings its own tokenizer.json.",
            )
        bpe = Tokenizer(models.BPE.from_file(str(folder / "vocab.json"), str(folder / "merges.txt")))
        bpe.normalizer = normalizers.NFC()
        bpe.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split(Regex(QWEN_SPLIT), behavior="isolated"),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
            ]
        )
        bpe.decoder = decoders.ByteLevel()
        added = read_json(folder / "tokenizer_config.json")["added_tokens_decoder"]
        bundled = {int(token): entry["content"] for token, entry in added.items()}
        codes = {COMFYUI_FIRST_CODE + code: f"<|audio_code_{code}|>" for code in range(AUDIO_CODES)}
        names = {**bundled, **COMFYUI_RENAMES, **codes}
        return cls(bpe, {name: token for token, name in names.items()})

    def special(self, name: str) -> int:
        """The id of a special token."""
        if name not in self.special_ids:
            raise UnsupportedCheckpointError(
                f"The tokenizer has no token {name}.", "Use the tokenizer that belongs to the checkpoint."
            )
        return self.special_ids[name]

    def ids(self, prompt: Prompt | str) -> list[int]:
        """All token ids of a prompt, nothing appended. A bare string is plain text throughout."""
        pieces = prompt.pieces if isinstance(prompt, Prompt) else (prompt,)
        found: list[int] = []
        for piece in pieces:
            found += [self.special(piece.name)] if isinstance(piece, Special) else self.bpe.encode(piece).ids
        return found

    def encode(self, prompt: Prompt | str, limit: int) -> Tokens:
        """At most `limit` ids: the prompt's, cut at the end if need be, then one end-of-text token."""
        ids, more = self.first_ids(prompt, limit)
        kept, cut = ids[: limit - 1], ids[limit - 1 :]
        return Tokens((*kept, self.end), len(cut), self.decode(cut), more)

    def first_ids(self, prompt: Prompt | str, count: int) -> tuple[list[int], bool]:
        """The ids of a prompt, the first `count` of them at least, and whether there are more than these.

        A text of any length takes the time of a short one: what lies far beyond what can be read is never tokenised.
        """
        pieces = prompt.pieces if isinstance(prompt, Prompt) else (prompt,)
        found: list[int] = []
        for piece in pieces:
            if isinstance(piece, Special):
                found.append(self.special(piece.name))
                continue
            ids, more = self.beginning(piece, count - len(found))
            found += ids
            if more:
                return found, True
        return found, False

    def beginning(self, text: str, count: int) -> tuple[list[int], bool]:
        """The ids of a text; of a long one so many that the first `count` are those of the whole text."""
        ids: list[int] = []
        for reach in REACHES:
            if len(text) <= reach:
                return self.bpe.encode(text).ids, False
            read = self.bpe.encode(text[: cut_before(text, reach)])
            ids, words = read.ids, [word or 0 for word in read.word_ids]
            if (
                sum(word < words[-1] - 1 for word in words) >= count
            ):  # the cut can change the last words alone
                break
        return ids, True

    def decode(self, ids: Iterable[int]) -> str:
        """The text behind token ids, special tokens by their names."""
        return "".join(
            "".join(self.special_names[token] for token in run) if special else self.bpe.decode(list(run))
            for special, run in groupby(ids, self.special_names.__contains__)
        )

    def pieces(self, ids: Iterable[int]) -> tuple[bytes, ...]:
        """The bytes behind each of some ordinary tokens; a character may be spread over several."""
        return tuple(
            bytes(BYTES[character] for character in self.bpe.id_to_token(token) or "") for token in ids
        )

    def special_names_in(self, text: str) -> tuple[str, ...]:
        """Names of special tokens that a user's text holds, each once; they are read as plain text."""
        return tuple(
            dict.fromkeys(name for name in re.findall(SPECIAL_LOOK, text) if name in self.special_ids)
        )


def byte_characters() -> dict[str, int]:
    """The character that a byte-level vocabulary writes for each byte -> that byte: printable ones as they are, others moved."""
    printable = (*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100))
    others = (byte for byte in range(0x100) if byte not in printable)
    return {chr(byte): byte for byte in printable} | {chr(0x100 + n): byte for n, byte in enumerate(others)}


BYTES = MappingProxyType(byte_characters())


def added_tokens(listed: Any) -> dict[str, int] | None:
    """The special tokens of a tokenizer.json, name -> id; None where they are not listed as such."""
    if not isinstance(listed, list):
        return None
    found: dict[str, int] = {}
    for token in listed:
        name, number = (token.get("content"), token.get("id")) if isinstance(token, dict) else (None, None)
        if not isinstance(name, str) or type(number) is not int or not 0 <= number < MAX_ID:
            return None
        found[name] = number
    return found


def cut_before(text: str, reach: int) -> int:
    """A place up to `reach` at which a word begins, so that the cut changes as little as can be."""
    blanks = [text.rfind(blank, reach - BLANK, reach) for blank in "\n "]
    return max(blanks) if max(blanks) > 0 else reach
