"""The tiny checkpoints that several tests read; each is built once in a session and never written to."""

from pathlib import Path

import pytest

from support.tiny import checkpoint as tiny_checkpoint


@pytest.fixture(scope="session")
def tiny_turbo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All layouts of the tiny turbo model: official/, diffusers/, comfy/."""
    return tiny_checkpoint.build(tmp_path_factory.mktemp("turbo"))


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All layouts of the tiny base model."""
    return tiny_checkpoint.build(tmp_path_factory.mktemp("base"), variant="base")


@pytest.fixture(scope="session")
def tiny_xl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All layouts of a tiny model whose transformer is wider than its encoders, in shards."""
    return tiny_checkpoint.build(tmp_path_factory.mktemp("xl"), variant="sft", xl=True)
