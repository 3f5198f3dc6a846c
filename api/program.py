"""Runs one of the API's programs, and explains settings that it cannot start with."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import NoReturn

from api.settings import SettingsError


def run_program(main: Callable[[], int]) -> NoReturn:
    """Exit with the program's code; with 2 and a line for each bad setting where there is one."""
    try:
        sys.exit(main())
    except SettingsError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
