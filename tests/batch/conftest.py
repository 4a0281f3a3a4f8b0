"""What tests of many songs get: Ray's packages, which lie in a folder of their own."""

import sys
from pathlib import Path

import pytest

RAY = Path(sys.prefix) / "ray"


@pytest.fixture(scope="session")
def ray_packages() -> Path:
    """The folder that holds Ray, put behind everything else; a missing one is an error, so that no test is lost unseen."""
    if not (RAY / "ray").is_dir():
        pytest.fail(f"{RAY} holds no Ray: `make test` puts it there.")
    if str(RAY) not in sys.path:
        sys.path.append(str(RAY))
    return RAY
