"""The shape of the code: layers, cycles, and sizes of files and functions."""

import ast
import io
import statistics
import subprocess
import sys
import tokenize

import pytest

from tests.helpers.paths import ROOT

# Each may import those before it, and none after it
LAYERS = (
    "dafnet_core",
    "dafnet_core.config",
    "dafnet_core.parallel",
    "dafnet_core.precision",
    "dafnet_core.files",
    "dafnet_core.typed_json",
    "dafnet_core.types",
    "dafnet_core.geometry",
    "dafnet_core.drawing",
    "dafnet_core.networks",
    "dafnet_core.losses",
    "dafnet_core.data",
    "dafnet_core.metrics",
    "dafnet_core.methods",
    "dafnet_core.analysis",
    "dafnet_core.evaluation",
    "dafnet_core.checkpoints",
    "dafnet_core.evaluate",
    "dafnet_core.prediction",
    "dafnet_core.predict",
    "dafnet_core.training",
    "dafnet_explorer",
    "pages",
    "app",
)
SOURCES = sorted(
    ROOT / name
    for name in subprocess.run(
        ["git", "ls-files", "*.py"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    if (ROOT / name).exists()
)
MEDIAN_LINES, MOST_LINES, MOST_IN_FUNCTION = 110, 350, 60


def module_of(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def code_lines(path):
    """Lines that are neither blank nor a comment."""
    tokens = tokenize.generate_tokens(io.StringIO(path.read_text()).readline)
    skipped = tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER
    return len({line for t in tokens if t.type not in skipped for line in range(t.start[0], t.end[0] + 1)})


MODULES = {module_of(path): path for path in SOURCES}


def imported(path):
    """Modules of this project that a file imports while it is loaded, or only for its types or in a function."""
    tree, found, late = ast.parse(path.read_text()), set(), set()
    inner = {id(n) for f in ast.walk(tree) if isinstance(f, ast.FunctionDef | ast.If) for n in ast.walk(f)}
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names] + [node.module]
        (late if id(node) in inner else found).update(names)
    return found & set(MODULES), late & set(MODULES)


def layer_of(module):
    """Position of the layer that a module belongs to."""
    fits = [n for n, layer in enumerate(LAYERS) if module == layer or module.startswith(f"{layer}.")]
    return max(fits, key=lambda n: len(LAYERS[n]))


def in_layers(module):
    return module.split(".")[0] in {layer.split(".")[0] for layer in LAYERS}


def test_no_module_imports_from_a_higher_layer():
    wrong = [
        f"{module} imports {other}"
        for module, path in MODULES.items()
        if in_layers(module)
        for other in set().union(*imported(path))
        if in_layers(other) and layer_of(other) > layer_of(module)
    ]
    assert wrong == []


def test_every_layer_is_there_and_every_module_of_the_core_has_one():
    assert [layer for layer in LAYERS if not any(m == layer or m.startswith(f"{layer}.") for m in MODULES)] == []
    core = {m.split(".")[1] for m in MODULES if m.startswith("dafnet_core.")}
    assert core <= {layer.split(".")[1] for layer in LAYERS if "." in layer}


def test_no_import_cycle():
    graph = {module: imported(path)[0] - {module} for module, path in MODULES.items()}
    done: set[str] = set()

    def visit(module, way):
        assert module not in way, " -> ".join([*way[way.index(module) :], module])
        if module not in done:
            for other in sorted(graph[module]):
                visit(other, [*way, module])
            done.add(module)

    for module in graph:
        visit(module, [])


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_files_and_functions_stay_small(path):
    assert code_lines(path) <= MOST_LINES
    long = [
        f"{node.name}: {node.end_lineno - node.lineno + 1}"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno - node.lineno + 1 > MOST_IN_FUNCTION
    ]
    assert long == []


def test_the_median_file_is_small():
    assert statistics.median(code_lines(path) for path in SOURCES) <= MEDIAN_LINES


def test_every_public_function_and_class_of_the_core_says_what_it_is():
    bare = []
    for module, path in MODULES.items():
        if not module.startswith(("dafnet_core", "dafnet_explorer")):
            continue
        tree = ast.parse(path.read_text())
        for node in tree.body:
            public = isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
            if public and ast.get_docstring(node) is None:
                bare.append(f"{module}.{node.name}")
    assert bare == []


@pytest.mark.slow
def test_training_and_evaluation_need_no_package_of_the_app():
    code = (
        "import sys, pkgutil, importlib, dafnet_core, train\n"
        "for m in pkgutil.walk_packages(dafnet_core.__path__, 'dafnet_core.'):\n"
        "    m.name.endswith('__main__') or importlib.import_module(m.name)\n"
        "sys.exit(any(name in sys.modules for name in ('streamlit', 'plotly', 'dafnet_explorer')))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
