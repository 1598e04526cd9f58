"""The rules of the house hold, and the checker sees each of them broken."""

import pytest

from tests import house


def test_the_house_is_in_order():
    assert house.findings() == []


@pytest.fixture
def build(tmp_path):
    def write(files):
        for top in house.FLOORS:
            files = {f"{top}/__init__.py": "", **files}
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return house.findings(tmp_path)

    return write


def test_an_import_upwards_is_seen_even_in_a_function(build):
    found = build(
        {
            "hw/core.py": "def f():\n    import sim.run\n",
            "sim/run.py": "from hw import core\n",
            "harness/cli.py": "import sim.run\nif __name__ == '__main__':\n    pass\n",
        }
    )
    assert found[0] == "hw.core imports sim.run, which is above it"


def test_product_code_that_imports_the_tests_is_seen(build):
    found = build(
        {
            "harness/cli.py": "import tests.help\nif __name__ == '__main__':\n    pass\n",
            "tests/help.py": "",
        }
    )
    assert found == ["harness.cli imports tests.help, which is above it"]


def test_a_circle_between_packages_is_seen_though_no_module_is_in_one(build):
    found = build(
        {
            "hw/a/__init__.py": "",
            "hw/b/__init__.py": "",
            "hw/a/one.py": "import hw.b.one\n",
            "hw/a/two.py": "",
            "hw/b/one.py": "",
            "hw/b/two.py": "import hw.a.two\nimport hw.a.one\n",
            "sw/use.py": "import hw.b.two\nif __name__ == '__main__':\n    pass\n",
        }
    )
    assert len(found) == 1
    assert found[0].startswith("circle in hw: ")


def test_a_circle_of_a_package_and_its_front_is_seen(build):
    found = build(
        {
            "sim/rtl/__init__.py": "from sim.rtl.engine import run\n",
            "sim/rtl/engine.py": "from sim.rtl import register\n",
        }
    )
    assert len(found) == 1
    assert found[0].startswith("circle in sim.rtl: ")


def test_a_module_that_only_tests_import_is_seen(build):
    found = build(
        {
            "sw/lonely.py": "",
            "sw/by_name.py": "",
            "harness/commands/__init__.py": "",
            "harness/commands/run.py": "",
            "harness/cli.py": (
                "import importlib\n"
                "importlib.import_module('sw.by_name')\n"
                "for name in ('run',):\n    importlib.import_module(f'harness.commands.{name}')\n"
                "if __name__ == '__main__':\n    pass\n"
            ),
            "tests/test_lonely.py": "import sw.lonely\n",
        }
    )
    assert found == ["sw.lonely is imported by no product module"]


def test_long_files_are_seen(build):
    found = build(
        {
            "sim/model.cc": "\n" * 401,
            "tests/test_much.py": "\n" * 600,
            "tests/test_more.py": "\n" * 601,
        }
    )
    assert found == [
        "sim/model.cc has 401 lines, more than 400",
        "tests/test_more.py has 601 lines, more than 600",
    ]


def test_rich_and_processes_beside_their_keepers_are_seen(build):
    main = "\nif __name__ == '__main__':\n    pass\n"
    found = build(
        {
            "harness/a.py": f"def f():\n    from rich.table import Table{main}",
            "harness/b.py": f"import rich{main}",
            "harness/c.py": f"from subprocess import PIPE, Popen{main}",
            "harness/d.py": f"from subprocess import PIPE{main}",
            "harness/e.py": f"from multiprocessing import get_context{main}",
            "tests/test_f.py": "import rich, subprocess\n",
        }
    )
    assert found == [
        "harness.a imports rich.table.Table; that is for harness.host.terminal",
        "harness.b imports rich; that is for harness.host.terminal",
        "harness.c imports subprocess.Popen; that is for sw.host.children",
        "harness.e imports multiprocessing.get_context; that is for sw.host.children and "
        "harness.host.workers and harness.bench.worker",
    ]
