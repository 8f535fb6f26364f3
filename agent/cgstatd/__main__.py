"""``python -m cgstatd``."""

import sys

from .cli.main import main

sys.exit(main())
