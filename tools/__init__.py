"""Programs that make or check the product; run them from the repository root: `python -m tools.demo.show`."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if (support := str(ROOT / "tests")) not in sys.path:
    sys.path.append(support)  # the tests' own tools: tiny models, ComfyUI, the editor
