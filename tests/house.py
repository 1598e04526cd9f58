"""The rules of the house: ``python -m tests.house`` prints every place that breaks one.

Imports of product code run downwards, ``hw`` <- ``sw`` <- ``sim`` <- ``harness``. Inside each of
these, what stands in the same folder (modules, packages) makes no circle of imports, on any level.
An import inside a function is a dependency, too. No product module is there for the tests alone,
and no file is too long to be read at once. What Rich would take for markup is text here, and no
child outlives its parent: one module knows Rich, few start processes.
"""

from __future__ import annotations

import ast
import dataclasses
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parent.parent
FLOORS = ("hw", "sw", "sim", "harness")
"""From the ground up; imports run towards the left."""
TESTS = "tests"
PRODUCT_LINES = 400
TEST_LINES = 600
KEEPERS = {
    "rich": ("harness.host.terminal",),
    "subprocess": ("sw.host.children",),
    "multiprocessing": ("sw.host.children", "harness.host.workers", "harness.bench.worker"),
    "concurrent.futures.process": ("harness.host.workers",),
    "asyncio": ("harness.host.workers",),
}
"""Packages from outside, and the product modules that may import them."""

STREAM_NAMES = {"DEVNULL", "PIPE", "STDOUT"}  # of subprocess; they start nothing
SOURCES = (".py", ".cc", ".h", ".js", ".css", ".html")


@dataclasses.dataclass(frozen=True)
class Module:
    """A Python file and what it says of other modules.

    Attributes:
        imports: names of the modules that it imports, anywhere in the file.
        named: strings in it that could be names of modules, for imports by name.
        scans: whether it looks for what is in a package (``pkgutil.iter_modules``).
        entry: whether it is a program (``python -m``).
        outside: what it imports from elsewhere, dotted.
    """

    name: str
    path: Path
    imports: frozenset[str]
    named: frozenset[str]
    scans: bool
    entry: bool
    outside: frozenset[str] = frozenset()

    @property
    def is_package(self) -> bool:
        """Whether the file is the front of a package."""
        return self.path.name == "__init__.py"


def read_house(root: Path) -> dict[str, Module]:
    """Every module of the floors and the tests below ``root``, by name."""
    paths = {
        _name(path, root): path
        for top in (*FLOORS, TESTS)
        for path in sorted((root / top).rglob("*.py"))
    }
    return {name: _read(name, path, paths) for name, path in paths.items()}


def _name(path: Path, root: Path) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _read(name: str, path: Path, known: Mapping[str, Path]) -> Module:
    tree = ast.parse(path.read_text(), str(path))
    nodes = list(ast.walk(tree))
    imports, named, outside = set(), set(), set()
    for node in nodes:
        if isinstance(node, ast.Import):
            imports |= {alias.name for alias in node.names}
            outside |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level and node.module, f"{path}: relative import"
            below = {f"{node.module}.{alias.name}" for alias in node.names}
            imports |= below & known.keys()
            outside |= {f"{node.module}.{alias.name}" for alias in node.names}
            if not below <= known.keys():
                imports.add(node.module)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            named.add(node.value)
    entry = any(
        isinstance(node, ast.If) and "__main__" in ast.unparse(node.test) for node in tree.body
    )
    scans = any(isinstance(node, ast.Attribute) and node.attr == "iter_modules" for node in nodes)
    return Module(
        name,
        path,
        frozenset(imports & known.keys()),
        frozenset(named),
        scans,
        entry,
        frozenset(outside - known.keys()),
    )


def imports_upwards(house: Mapping[str, Module]) -> Iterator[str]:
    """Imports of a higher floor, or of the tests by product code."""
    order = (*FLOORS, TESTS)
    for module in house.values():
        floor = order.index(module.name.split(".")[0])
        for other in sorted(module.imports):
            if order.index(other.split(".")[0]) > floor:
                yield f"{module.name} imports {other}, which is above it"


def circles(house: Mapping[str, Module]) -> Iterator[str]:
    """Circles among what stands in the same folder, on every level of the product."""
    below: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for module in house.values():
        if module.name.split(".")[0] not in FLOORS:
            continue
        for other in module.imports:
            place, one, another = _neighbours(module, house[other])
            if one != another:
                below[place][one].add(another)
    for place, graph in sorted(below.items()):
        try:
            TopologicalSorter(graph).prepare()
        except CycleError as error:
            yield f"circle in {place or 'the house'}: {' <- '.join(error.args[1])}"


def _neighbours(module: Module, other: Module) -> tuple[str, str, str]:
    """The folder that both are in, and what of it each belongs to (``__init__`` is its front)."""
    one, another = (
        [*m.name.split("."), "__init__"] if m.is_package else m.name.split(".")
        for m in (module, other)
    )
    common = 0
    while common < min(len(one), len(another)) and one[common] == another[common]:
        common += 1
    common = min(common, len(one) - 1, len(another) - 1)
    return ".".join(one[:common]), one[common], another[common]


def only_for_tests(house: Mapping[str, Module]) -> Iterator[str]:
    """Product modules that no product module imports (or names), and that are no program."""
    product = [m for m in house.values() if m.name.split(".")[0] in FLOORS]
    used = {name for module in product for name in module.imports - {module.name}}
    strings = {text for module in product for text in module.named}
    scanned = {text for module in product if module.scans for text in module.named}
    prefixes = tuple(text for text in strings if text.endswith(".") and text[:-1] in house)
    for module in product:
        if module.is_package or module.entry or module.name in used | strings:
            continue
        if module.name.rpartition(".")[0] in scanned or module.name.startswith(prefixes):
            continue
        yield f"{module.name} is imported by no product module"


def kept(house: Mapping[str, Module]) -> Iterator[str]:
    """Product modules that import what belongs to another (:data:`KEEPERS`)."""
    for module in house.values():
        if module.name.split(".")[0] not in FLOORS:
            continue
        for package, keepers in KEEPERS.items():
            taken = {
                name
                for name in module.outside
                if f"{name}.".startswith(f"{package}.")
                and not (package == "subprocess" and name.rpartition(".")[2] in STREAM_NAMES)
            }
            if taken and module.name not in keepers:
                yield f"{module.name} imports {min(taken)}; that is for {' and '.join(keepers)}"


def long_files(root: Path) -> Iterator[str]:
    """Files with more lines than a reader takes in."""
    for top in (*FLOORS, TESTS):
        limit = TEST_LINES if top == TESTS else PRODUCT_LINES
        for path in sorted((root / top).rglob("*")):
            if path.suffix in SOURCES:
                lines = len(path.read_text().splitlines())
                if lines > limit:
                    yield f"{path.relative_to(root)} has {lines} lines, more than {limit}"


def findings(root: Path = ROOT) -> list[str]:
    """All of it, a line each."""
    house = read_house(root)
    return [
        *imports_upwards(house),
        *circles(house),
        *only_for_tests(house),
        *kept(house),
        *long_files(root),
    ]


if __name__ == "__main__":
    found = findings()
    print("\n".join(found) or "the house is in order")
    sys.exit(bool(found))
