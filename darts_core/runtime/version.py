"""Reads the installed version."""

from importlib.metadata import version

VERSION = version("dartboard")
