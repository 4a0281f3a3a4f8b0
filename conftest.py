"""Keeps pytest from importing the repository root as a package: it is a ComfyUI pack, not a library."""

import pathlib

import pytest

ROOT = pathlib.Path(__file__).resolve().parent


class RootIsNotAPackage:
    """Collects the root as a plain folder; a conftest's own hooks come too late for its own folder."""

    @pytest.hookimpl(tryfirst=True)
    def pytest_collect_directory(
        self, path: pathlib.Path, parent: pytest.Collector
    ) -> pytest.Collector | None:
        return pytest.Dir.from_parent(parent, path=path) if path == ROOT else None


def pytest_configure(config: pytest.Config) -> None:
    """Register the plugin above before collection starts."""
    config.pluginmanager.register(RootIsNotAPackage())
