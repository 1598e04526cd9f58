"""What is printed is what exists."""

import io
import sys

import pytest

from harness.host import terminal

NAMES = [
    "run [v2]",
    "k[int8].dna",
    "x[/y]",
    "[/red]",
    ":smile:.dna",
    "a  b",
    "é漢字",
    "[bold]",
    "\\[x]",
]


def printed(*things, width=20):
    file = io.StringIO()
    console = terminal.Console(file=file, width=width)
    for thing in things:
        console.print(thing)
    return file.getvalue()


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_shown_as_it_is_wherever_it_stands(name):
    assert printed(f"{name}: done, 1.5 ms") == f"{name}: done, 1.5 ms\n"
    table = terminal.Table(name, title=f"{name} and a title that is wider than the terminal")
    table.add_columns("number", right=True)
    table.add_row(name * 9, "1")
    table.add_row(terminal.marked(name), "2")
    lines = [line.strip() for line in printed(table).splitlines() if line.strip(" ─")]
    assert lines[0] == f"{name} and a title that is wider than the terminal"
    assert lines[1].startswith(name)
    assert lines[2].split("   ")[0].strip() == name * 9
    assert lines[3].startswith(name)


@pytest.mark.parametrize("name", NAMES)
def test_progress_shows_names_as_they_are(name):
    file = io.StringIO()
    console = terminal.Console(file=file, width=200)
    console.is_terminal  # noqa: B018 (a property; a file is none)
    with console.status(f"reading {name}") as status:
        status.update(f"running {name}")
        assert status.status.plain == f"running {name}"
    with terminal.counted(console, name, 2) as counted:
        counted(1)
    with terminal.measured(console, name, 9) as reached:
        reached(5)
    with terminal.staged(console, name, 2) as report:
        report(name, 1)
    with terminal.told(console, name, None, by_itself=False) as tell:
        tell(name, 1)


def test_warnings_and_errors(capsys):
    console = terminal.Console(stderr=True)
    console.warn("few [x]")
    console.fail("no [/y]")
    assert capsys.readouterr().err == "warning: few [x]\nerror: no [/y]\n"


def test_control_characters_do_not_reach_the_terminal():
    assert printed("a\x1b[31mb\x07\x9b") == "a\\x1b[31mb\\x07\\x9b\n"
    table = terminal.Table("name")
    table.add_row("a\x1b[2Jb")
    assert "a\\x1b[2Jb" in printed(table)


@pytest.mark.parametrize(
    ("encoding", "expected"),
    [("utf-8", "é\udcff漢".encode(errors="surrogateescape")), ("ascii", b"\\u00e9\xff\\u6f22")],
)
def test_every_name_can_be_written(encoding, expected):
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding)
    terminal.any_text_on(stream, sys.__stdin__ and io.StringIO())
    stream.write("é\udcff漢")
    stream.flush()
    assert raw.getvalue() == expected


def test_no_color_and_pipes_have_no_codes(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in printed(terminal.marked("12"))


def test_prose_is_folded_and_nothing_of_it_is_lost():
    table = terminal.Table("question", "answer", lines=True, prose=True)
    table.add_row("Incomprehensibilities?", "yes " * 9)
    text = printed(table)
    assert max(map(len, text.splitlines())) <= 20
    assert text.count("yes") == 9
    assert "…" not in text
