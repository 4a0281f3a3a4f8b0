"""What is inside of the boxes that play with adapters."""

from collections.abc import Sequence
from typing import Any

from tools.workflows.boxes.tasks import Shown, Task, joined, of, sung
from tools.workflows.page import Page
from tools.workflows.parts import loader


def with_adapters(
    page: Page,
    adapters: Sequence[dict[str, Any]],
    shown: Sequence[tuple[str, ...]],
    seconds: float,
    **fields: Any,
) -> Task:
    """A song from a model with adapters, one after the other. shown: of each, the widgets that are asked for.

    The report tells first what was loaded.
    """
    load = loader(page)
    page.column()
    model, asked, loaded = load["model"], Shown(), load["report"]
    for place, (settings, widgets) in enumerate(zip(adapters, shown, strict=True), start=1):
        look = {"title": f"LoRA {place}"} if len(adapters) > 1 else {}
        adapter = page.add("AceGraphLoadAdapter", look, model=model, **settings)
        model, loaded = adapter["model"], adapter["report"]
        asked += of(adapter, *widgets)
    page.column()
    task = sung(page, load, model, seconds, **fields)
    task.report = joined(page, loaded, task.report)
    task.words = [*asked, *task.words]
    return task
