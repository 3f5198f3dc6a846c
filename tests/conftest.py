"""What must be so before anything is imported."""

from __future__ import annotations

import os
from pathlib import Path

from hypothesis import settings

# Triton reads it when it is first imported, which any part of torch may do; without a GPU only its interpreter runs.
if not Path("/dev/nvidiactl").exists():
    os.environ.setdefault("TRITON_INTERPRET", "1")

# A busy machine makes no test fail.
settings.register_profile("dartboard", deadline=None)
settings.load_profile("dartboard")
