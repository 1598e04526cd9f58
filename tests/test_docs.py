"""What the documents say exists: commands and their options, targets, links, pages of reference.

Every command line of README.md and docs/*.md is parsed by the command itself. Those that take a
moment on a tiny network are run, too, page by page, each in a folder of its own.
"""

import dataclasses
import importlib
import inspect
import re
import shlex
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner

from harness import manual
from harness.cli import dna
from tests.support import tiny

ROOT = Path(__file__).parent.parent
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
MAKEFILE = (ROOT / "Makefile").read_text()

ELSEWHERE = {"cd", ".", "./run_local.sh", "pip"}
"""What a block may call besides dna, make and python; nothing of it is ours to check."""
OTHER_LANGUAGES = {"mermaid", "json", "python", "text"}
SLOW = {"quantize", "timing", "import", "verify", "compare", "bench", "rtl", "fetch", "backend"} | {
    "soc",
    "board",
}
"""Not run here, nor what needs a cluster: they train, compile RTL, or need the network. They have
tests of their own."""
SLOW_TASKS = {("submission", "build"), ("submission", "check"), ("compliance", "verify")}
RUN_WITH = {
    "loadgen": ["--min-duration", "0.2", "--threads", "1"],
    "explore": ["--workers", "1"],
    "deployed": ["--threads", "1"],
}
"""Options that make a run short; a later option overrides an earlier one."""
RUN = ("board", "energy", "explore", "guide", "memory", "mlperf", "report")
"""Pages beside the README whose quick commands are run."""
ENDED = {"loadgen": {0, 1}}
"""Exit codes; 1 of loadgen: the run was too short, or this computer too busy, for VALID."""


@dataclasses.dataclass(frozen=True)
class Block:
    language: str
    lines: list[str]


@dataclasses.dataclass(frozen=True)
class Command:
    """A command line: its words, and the file that takes its output."""

    program: str
    arguments: list[str]
    output: str | None = None


def blocks(text: str) -> list[Block]:
    """Fenced and indented code, continued lines joined."""
    found, fence, indented = [], None, None
    for line in text.splitlines():
        if line.startswith("```"):
            fence = None if fence else Block(line[3:].strip(), [])
            found += [fence] if fence else []
        elif fence:
            fence.lines.append(line)
        elif line.startswith("    "):
            if indented is None:
                indented = Block("", [])
                found.append(indented)
            indented.lines.append(line[4:])
        elif line.strip():
            indented = None
    return [dataclasses.replace(b, lines=joined(b.lines)) for b in found]


def joined(lines: list[str]) -> list[str]:
    return [line for line in "\n".join(lines).replace("\\\n", " ").splitlines() if line.strip()]


def variants(line: str) -> list[str]:
    """The line without and with what its [brackets] leave to the reader."""
    bare = re.sub(r" \[--[^]]*\]", "", line)
    return [bare] if bare == line else [bare, re.sub(r"[][]", "", line)]


def parse(line: str) -> Command:
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|>")
    lexer.whitespace_split = True
    words = list(lexer)
    if "|" in words:
        words = words[: words.index("|")]
    output = None
    if ">" in words:
        at = words.index(">")
        words, output = words[:at], words[at + 1]
    while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
        words = words[1:]
    program, *arguments = words
    return Command(program.removeprefix(".venv/bin/"), arguments, output)


def is_known(line: str) -> bool:
    return parse(line).program in {"dna", "make", "python", *ELSEWHERE}


def command_lines(page: Path) -> list[str]:
    """All command lines in blocks. A block with one command in it has nothing but commands."""
    found = []
    for block in blocks(page.read_text()):
        if block.language not in OTHER_LANGUAGES and any(
            re.match(r"(dna|make|(\.venv/bin/)?python) ", line) for line in block.lines
        ):
            found += [variant for line in block.lines for variant in variants(line)]
        elif page.name == "commands.md":
            found += [line.strip() for line in block.lines if line.startswith("    dna ")]
    return found


def prose(page: Path) -> str:
    """The page without its blocks of code."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    return "\n".join(line for line in text.splitlines() if not line.startswith("    "))


def inline(page: Path) -> list[str]:
    """What stands in backquotes in the text."""
    return [" ".join(code.split()) for code in re.findall(r"`([^`]+)`", prose(page))]


def check_click(command: click.Command, name: str, arguments: list[str]) -> None:
    """Parse ``arguments`` as ``command`` would, without running it."""
    parent = None
    while isinstance(command, click.Group) and arguments and not arguments[0].startswith("-"):
        parent = click.Context(command, info_name=name, parent=parent)
        name, *arguments = arguments
        found = command.get_command(parent, name)
        assert found is not None, f"there is no command {name}"
        command = found
    if arguments or not isinstance(command, click.Group):
        command.make_context(name, list(arguments), parent=parent)


def check_make(arguments: list[str]) -> None:
    for word in arguments:
        name, is_variable, _ = word.partition("=")
        pattern = rf"^{name}\s*\??:?=" if is_variable else rf"^{name}:"
        assert re.search(pattern, MAKEFILE, re.MULTILINE), f"the Makefile has no {name}"


def check_python(arguments: list[str]) -> None:
    assert arguments[0] == "-m", arguments
    _, name, *rest = arguments
    if name == "pytest":
        missing = [path for path in rest if not path.startswith("-") and not (ROOT / path).exists()]
        assert not missing
        return
    module = importlib.import_module(name)
    if isinstance(module.main, click.Command):
        check_click(module.main, name, rest)
    else:
        source = inspect.getsource(module)
        unknown = [word for word in rest if word.startswith("-") and f'"{word}"' not in source]
        assert not unknown


def check(command: Command) -> None:
    if command.program == "dna":
        check_click(dna, "dna", command.arguments)
    elif command.program == "make":
        check_make(command.arguments)
    elif command.program == "python":
        check_python(command.arguments)
    else:
        assert command.program in ELSEWHERE, f"what is {command.program}?"


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_command_line_parses(page):
    for line in command_lines(page):
        try:
            check(parse(line))
        except (AssertionError, click.ClickException) as error:
            pytest.fail(f"{line}\n{error}")


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_commands_within_sentences_exist(page):
    """They may lack what a sentence does not need, and have WORDS for values."""
    for code in inline(page):
        if not re.match(r"(dna|make) \S|python -m ", code):
            continue
        for line in variants(code):
            command = parse(line)
            try:
                check(command)
            except click.MissingParameter:
                pass
            except click.BadParameter as error:
                if not any(word.isupper() for word in command.arguments):
                    pytest.fail(f"{line}\n{error}")
            except (AssertionError, click.ClickException) as error:
                pytest.fail(f"{line}\n{error}")


def test_the_checks_see_what_is_wrong():
    for line in (
        "dna frobnicate",
        "dna compile a.dna --config micro -o b.dna --fast",
        "dna compile a.dna --config micro",
        "dna loadgen a.dna --scenario Server",
        "dna backend destroy inference",
        "make tea",
        "make fuzz M=3",
        "python -m pytest tests/no_such_test.py",
        "python -m tests.sweeps.fuzz --speed 3",
        "python -m tests.sweeps.import_sweep --speed 3",
        "dan compile a.dna",
    ):
        with pytest.raises((AssertionError, click.ClickException)):
            check(parse(line))


def test_commands_are_found():
    found = [line for page in PAGES for line in command_lines(page)]
    assert {parse(line).program for line in found} >= {"dna", "make", "python"}
    used = {parse(line).arguments[0] for line in found if line.startswith("dna ")}
    assert used == set(dna.list_commands(click.Context(dna)))
    assert all(is_known(line) for line in found)


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_links_and_pictures_resolve(page):
    text = prose(page)
    targets = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'src="([^"]+)"', text)
    for target in targets:
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        file = page.parent / path if path else page
        assert file.exists(), f"{target} is not there"
        if anchor:
            assert anchor in anchors(file), f"{target} has no such heading"


def anchors(page: Path) -> set[str]:
    """The names that headings get where Markdown is shown."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_files_that_are_named_exist(page):
    """Paths in backquotes; {a,b} and * as a shell has them."""
    for code in inline(page):
        if re.fullmatch(r"(hw|sw|sim|harness|tests|docs|scripts)/[\w/.*]*", code):
            assert list(ROOT.glob(code.rstrip("/"))), f"{code} is not there"


def test_every_page_is_linked_from_the_readme():
    readme = (ROOT / "README.md").read_text()
    for name in NAMES[1:]:
        assert f"({name})" in readme, f"README.md has no link to {name}"


@pytest.mark.parametrize(("name", "text"), manual.pages().items(), ids=list(manual.pages()))
def test_reference_pages_are_current(name, text):
    current = (ROOT / "docs" / name).read_text()
    assert current == text, "run `python -m harness.manual`"


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """A tiny network in the place of resnet50.dna."""
    return tiny.save_artifact(tmp_path_factory.mktemp("network") / "tiny.dna")


def is_quick(command: Command) -> bool:
    if command.program != "dna" or command.arguments[0] in SLOW:
        return False
    return tuple(command.arguments[:2]) not in SLOW_TASKS and "--scheduler" not in command.arguments


def quick_commands(page: Path) -> list[Command]:
    return [command for command in map(parse, command_lines(page)) if is_quick(command)]


def prepare(page: Path, folder: Path, network: Path) -> None:
    """What the commands of a page find: photographs, arrays, and the JSON files that it shows."""
    (folder / "resnet50.dna").symlink_to(network)
    tiny.save_detector(folder / "detector.dna")
    tiny.save_coco(folder / "made", 2).rename(folder / "coco")
    photographs = tiny.save_photographs(folder / "imagenet", 4)
    for name in ("cat.jpg", "dog.jpg"):
        (folder / name).write_bytes((photographs / "0.jpg").read_bytes())
    np.save(folder / "IMAGES.npy", np.zeros((2, 224, 224, 3), np.float32))
    for block in blocks(page.read_text()):
        if block.language == "json":
            (folder / "mine.json").write_text("\n".join(block.lines))


def run(command: Command, folder: Path) -> None:
    name = command.arguments[0]
    places = {"/data/imagenet": str(folder / "imagenet"), "FOLDER": "resnet50.dna"}
    arguments = [places.get(word, word) for word in command.arguments]
    result = CliRunner().invoke(dna, [*arguments, *RUN_WITH.get(name, [])])
    if result.exit_code not in ENDED.get(name, {0}):
        pytest.fail(f"dna {' '.join(arguments)}\n{result.output}\n{result.exception!r}")
    if command.output:
        Path(command.output).write_text(result.stdout)


@pytest.mark.parametrize("name", ["README.md", *(f"docs/{name}.md" for name in RUN)])
def test_quick_commands_run(name, network, tmp_path, monkeypatch):
    page = ROOT / name
    prepare(page, tmp_path, network)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "imagenet"))
    commands = quick_commands(page)
    for command in commands:
        run(command, tmp_path)
    assert commands


def test_pages_with_quick_commands_are_run():
    quick = {page.stem for page in PAGES[1:] if quick_commands(page)}
    assert quick == set(RUN) | {"commands"}


def test_python_of_the_readme_runs(network, tmp_path, monkeypatch):
    prepare(PAGES[0], tmp_path, network)
    monkeypatch.chdir(tmp_path)
    (block,) = (b for b in blocks(PAGES[0].read_text()) if b.language == "python")
    names = {"batch": np.zeros((2, 224, 224, 3), np.float32)}
    exec("\n".join(block.lines), names)
    assert names["logits"].shape == (2, tiny.CLASSES)
