"""What became of an adapter, in words."""

import logging
from collections import Counter
from collections.abc import Iterator, Sequence

from ...acestep_core.adapters.adapter_file import FittedAdapter
from ...acestep_core.adapters.keys import Part
from ...acestep_core.adapters.scales import GROUPS, group_of
from ...acestep_core.checkpoints.tensor_file import few
from .sockets import Applied, ModelHandle, PlannerHandle, TextHandle

log = logging.getLogger("acestep-graph")

NO_ALPHA = (
    "The file does not tell its alpha: scale 1 is used, the official trainer's default is 2. If it acts too weakly, "
    "copy the adapter_config.json along, or set alpha."
)


def report(
    applied: Applied, fitted: FittedAdapter, handles: Sequence[ModelHandle | TextHandle | PlannerHandle]
) -> str:
    """Kind, strength, what was matched and what was not, and how to call it."""
    lines = [f"{applied.name}: {', '.join(kinds(fitted))}, strength {applied.strength:g}.", *scales(fitted)]
    lines += [matched(part, fitted) for part in fitted.changes]
    if fitted.unused:
        names = few((unused.name for unused in fitted.unused), 3)
        reasons = ", ".join(sorted({unused.why for unused in fitted.unused}))
        lines.append(f"Not used: {len(fitted.unused)} ({names}): {reasons}.")
        log.warning("%s: %s", applied.name, lines[-1])
    lines += [
        f"Layers for the {part.value}, which is not connected here: {count}."
        for part, count in fitted.elsewhere.items()
    ]
    if fitted.settings.trigger:
        lines.append(f"It is called by writing into the caption: {fitted.settings.trigger}.")
    if fitted.settings.base:
        lines.append(f"It says that it was trained on {fitted.settings.base}.")
    lines += [line for handle in handles for line in stacked(handle)]
    return "\n".join(lines)


def kinds(fitted: FittedAdapter) -> Iterator[str]:
    """The kinds that occur, with their ranks."""
    for kind in dict.fromkeys(made.kind for made in fitted.made):
        ranks = {made.rank for made in fitted.made if made.kind == kind and made.rank}
        size = f" of rank {min(ranks)}" if ranks else ""
        yield f"{kind}{size}{f' to {max(ranks)}' if len(ranks) > 1 else ''}"


def scales(fitted: FittedAdapter) -> Iterator[str]:
    """How strongly it acts at strength 1, and who says so."""
    for source in dict.fromkeys(scaled.source for scaled in fitted.scaled):
        found = [scaled.scale for scaled in fitted.scaled if scaled.source == source]
        if not source:
            yield NO_ALPHA
            continue
        span = f"{min(found):.4g}" if len(found) == 1 else f"{min(found):.4g} to {max(found):.4g}"
        yield (
            f"Scale {span}, by the alpha of {source}."
            if source != "hand"
            else f"Scale {span}, by the alpha set here."
        )


def matched(part: Part, fitted: FittedAdapter) -> str:
    """How many weights it changes, and of which kind."""
    groups = Counter(group_of(weight) for weight in fitted.changes[part])
    listed = ", ".join(f"{group} {groups[group]}" for group in (*GROUPS, "other") if groups[group])
    return f"Changes {groups.total()} weights of the {part.value}: {listed}."


def stacked(handle: ModelHandle | TextHandle | PlannerHandle) -> Iterator[str]:
    """What the adapter is in, and all adapters there, if there are several."""
    adapters = handle.adapters
    if isinstance(handle, ModelHandle):
        yield f"The model is {handle.name}, {handle.variant.value}."
    if len(adapters) > 1:
        matters = " Their order matters." if any(applied.in_turn for applied in adapters) else ""
        yield f"Loaded one after the other: {', '.join(map(str, adapters))}.{matters}"
