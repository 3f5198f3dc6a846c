"""No module imports itself by way of others, however late in a function."""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter

import grimp
import pytest

pytestmark = pytest.mark.light

PACKAGES = ("api", "benchmarks", "client", "darts_core", "migrations", "worker")


def test_there_is_no_import_circle() -> None:
    graph = grimp.build_graph(*PACKAGES, exclude_type_checking_imports=True)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])))
