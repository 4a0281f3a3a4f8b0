"""The parts of a checkpoint: asked for where they are missing, refused where they do not fit together."""

from pathlib import Path

import pytest

from acestep_core.checkpoints.layouts import open_checkpoint
from acestep_core.errors import UnsupportedCheckpointError

GOLDEN = Path(__file__).parents[2] / "fixtures" / "golden" / "tiny_official"


def test_a_text_encoder_of_another_width_is_refused():
    with pytest.raises(
        UnsupportedCheckpointError, match="vectors have 40 channels, but the model works with 32"
    ):
        open_checkpoint(GOLDEN, text_encoder=GOLDEN / "acestep-5Hz-lm-1.7B")
