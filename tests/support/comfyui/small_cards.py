"""Pretended cards on which one network finds room for a share of its weights, and what was on them."""

import contextlib
import weakref
from collections import defaultdict

from support.comfyui.fake_gpu import pretend_gpu, replaced

WHOLE, MOST, SOME, NONE = 1.05, 0.995, 0.4, 0.0  # of each network's weights: what the card has room for


class Loads:
    """What was on the card whenever a network had been brought in."""

    def __init__(self):
        self.shares = defaultdict(list)  # name of the network -> its share on the card
        self.alone = True

    def note(self, patcher, on_card):
        loaded = patcher.loaded_size()
        network = getattr(
            patcher.model, "diffusion_model", patcher.model
        )  # of what ComfyUI's own nodes can use
        self.shares[type(network).__name__].append(loaded / patcher.model_size())
        self.alone &= on_card == loaded


@contextlib.contextmanager
def card_with_room_for(share, state="NORMAL_VRAM", unload=False):
    """A card that has room for one network: for this share of its weights and for what computing takes.

    Only a network that is never split always fits. unload: whether everything leaves the card before the next comes.
    """
    with pretend_gpu(0, state=state) as device:
        import comfy.model_management as mm

        loads, load, seen, room = Loads(), mm.load_models_gpu, weakref.WeakSet(), {"bytes": 0}

        def on_card():
            return sum(patcher.loaded_size() for patcher in seen)

        def load_models_gpu(models, memory_required=0, force_full_load=False, **_least):
            (patcher,) = models
            weights = max(share, WHOLE if force_full_load else 0) * patcher.model_size()
            room["bytes"] = memory_required + weights
            if unload:
                mm.unload_all_models()
            if patcher.load_device == device:
                seen.add(patcher)
            load(models, memory_required=memory_required, force_full_load=force_full_load)
            loads.note(patcher, on_card())

        def free(where=None, torch_free_too=False):
            left = room["bytes"] - on_card() if where in (None, device) else 1e12
            return (left, left) if torch_free_too else left

        with replaced(mm, load_models_gpu=load_models_gpu, get_free_memory=free):
            yield loads
