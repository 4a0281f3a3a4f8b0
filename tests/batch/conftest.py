"""What tests of many songs get: Ray's packages, which lie in a folder of their own."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RAY = Path(sys.prefix) / "ray"


@pytest.fixture(scope="session")
def ray_packages() -> Path:
    """The folder that holds Ray, put behind everything else; a missing one is an error, so that no test is lost unseen."""
    if not (RAY / "ray").is_dir():
        pytest.fail(f"{RAY} holds no Ray: `make test` puts it there.")
    if str(RAY) not in sys.path:
        sys.path.append(str(RAY))
    return RAY


@pytest.fixture(scope="module")  # other tests of this process start others without it
def ray_environment(ray_packages: Path) -> Iterator[None]:
    """What every process of Ray gets: the packages, no reports to anybody, and no judgement on a busy machine's memory."""
    words = {
        "PYTHONPATH": os.pathsep.join(
            filter(None, [str(ray_packages), str(ROOT), str(ROOT / "tests"), os.environ.get("PYTHONPATH")])
        ),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_memory_monitor_refresh_ms": "0",
        "RAY_raylet_start_wait_time_s": "120",
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # elsewhere too it means: 127.0.0.1 and nothing else
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in words.items():
            patch.setenv(name, value)
        yield
