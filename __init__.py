"""The ComfyUI nodes of ACE-Step Graph."""

import logging

WEB_DIRECTORY = "./web"


async def comfy_entrypoint() -> object:
    """What ComfyUI asks for; the nodes are imported here so that `acestep_core` can be used without ComfyUI."""
    try:
        from .nodes import AceStepGraph
    except Exception:
        logging.exception("The ACE-Step Graph nodes could not be imported")  # ComfyUI logs no traceback here
        raise
    return AceStepGraph()
