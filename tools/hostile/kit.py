"""What the readers of a fuzzing run are tried with: a stage, a folder of files to spoil, sounds, and networks."""

import io
import random
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import soundfile
from torch import Tensor

from support.tiny import checkpoint
from tools.hostile.stage import Stage

Case = Callable[["Kit", random.Random], None]


class Reader(NamedTuple):
    """A reader's name, a case of it, and its share of all cases."""

    name: str
    case: Case
    share: float


@dataclass
class Kit:
    """The stage, a folder to spoil, sound files, and the weights of every network by the part that it is."""

    stage: Stage
    place: Path
    sounds: list[tuple[str, bytes]]
    networks: Mapping[Any, Mapping[str, Tensor]] = field(default_factory=dict)
    config: Any = None  # of the transformer among them

    @classmethod
    def of(cls, stage: Stage, place: Path) -> "Kit":
        """A copy of the tiny checkpoint, which children spoil and mend."""
        for layout in ("official", "comfy", "diffusers"):
            shutil.copytree(stage.models / "turbo" / layout, place / layout, dirs_exist_ok=True)
        checkpoint.write_official(checkpoint.tiny_model(), place / "sharded", shards=2)
        wave = np.random.default_rng(0).standard_normal((4_800, 2)) * 0.1
        sounds = list[tuple[str, bytes]]()
        for kind, more in (("WAV", {}), ("FLAC", {}), ("OGG", {"subtype": "VORBIS"}), ("MP3", {})):
            content = io.BytesIO()
            soundfile.write(content, wave, 48_000, format=kind, **more)
            sounds.append((kind.lower(), content.getvalue()))
        core = stage.pack.acestep_core
        opened = core.checkpoints.layouts.open_checkpoint(place / "official" / "acestep-v15-turbo")
        networks = weights_of(core, opened, planner_of(place / "official"))
        return cls(stage, place, sounds, networks, opened.model_files().config)

    @property
    def core(self) -> Any:
        """The core as the pack has it."""
        return self.stage.pack.acestep_core

    def spoilt(
        self, path: Path, change: Callable[[bytes, random.Random], bytes], dice: random.Random
    ) -> "Spoilt":
        """A file that is damaged while the block lasts."""
        return Spoilt(path, change(path.read_bytes(), dice))


class Spoilt:
    """`with Spoilt(path, content):`; afterwards the file is as it was."""

    def __init__(self, path: Path, content: bytes) -> None:
        self._path, self._content, self._kept = path, content, path.read_bytes()

    def __enter__(self) -> None:
        self._path.write_bytes(self._content)

    def __exit__(self, *_: object) -> None:
        self._path.unlink()  # others may still have the spoilt one mapped
        self._path.write_bytes(self._kept)


def weights_of(core: Any, opened: Any, planner: Path) -> dict[Any, Mapping[str, Tensor]]:
    """The weights of every network of a checkpoint, and of its planner."""
    load, planner_files, part = core.checkpoints.load, core.checkpoints.planner_files, core.adapters.keys.Part
    networks = {
        part.TRANSFORMER: load.load_transformer(opened),
        part.CONDITIONS: load.load_condition_encoder(opened),
        part.CODEC: load.load_codec(opened),
        part.TEXT: load.load_text_encoder(opened),
        part.PLANNER: planner_files.load_planner(planner_files.open_planner(planner), load.PLAIN),
    }
    return {where: network.state_dict() for where, network in networks.items()}


def planner_of(folder: Path) -> Path:
    """The planner's folder."""
    return next(path for path in folder.iterdir() if "lm" in path.name)
