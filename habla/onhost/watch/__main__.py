"""``python3 -m`` of this package."""

from __future__ import annotations

import sys

from .main import main

sys.exit(main())
