"""Runs one of the API's programs and reports invalid settings."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import NoReturn

from api.settings import SettingsError


def run_program(main: Callable[[], int]) -> NoReturn:
    """Exit with the program's code, or with 2 and a line for each invalid setting."""
    try:
        sys.exit(main())
    except SettingsError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
