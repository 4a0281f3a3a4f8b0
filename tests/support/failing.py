"""What fails on purpose, where a process of its own finds it: tests are no modules there once a ComfyUI has started."""


def fail(kind: type[Exception], *words: str) -> None:
    """Raise it."""
    raise kind(*words)
