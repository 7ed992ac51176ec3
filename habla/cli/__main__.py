"""``python -m habla.cli`` is the ``habla`` command."""

import sys

from habla.cli import main

sys.exit(main())
