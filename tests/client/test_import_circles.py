"""No module imports itself by way of others, however late in a function."""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter

import grimp
import pytest

pytestmark = pytest.mark.light

PACKAGES = ("api", "benchmarks", "client", "darts_core", "migrations", "worker")
# Each closes a circle today: an entry goes with its import, and none is added.
PRESENT = {
    ("darts_core.files.loading", "darts_core.ensembles.file"),
    ("darts_core.kernels.gpu", "darts_core.kernels.gpu.trial"),
}


def test_there_is_no_import_circle() -> None:
    graph = grimp.build_graph(*PACKAGES, exclude_type_checking_imports=True)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    for importer, imported in PRESENT:
        imports[importer].remove(imported)  # raises KeyError for an entry whose import is gone
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])))
