"""A file is written whole or not at all, and whatever cannot be is a line."""

import os
import resource
import stat

import pytest

from sw.errors import DnaError
from sw.host import files


@pytest.fixture
def full():
    """A disk that takes 1000 bytes of a file and no more."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_text_and_bytes_replace_what_was_there(tmp_path):
    path = tmp_path / "file"
    files.write(path, "früher")
    assert path.read_text(encoding="utf-8") == "früher"
    path.chmod(0o640)
    files.write(path, b"later")
    assert path.read_bytes() == b"later"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert list(tmp_path.iterdir()) == [path]


def test_a_new_file_has_the_usual_mode(tmp_path):
    (tmp_path / "usual").touch()
    files.write(tmp_path / "new", "")
    assert (tmp_path / "new").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_a_full_disk_leaves_the_old_file(tmp_path, full):
    path = tmp_path / "file"
    files.write(path, "old")
    with pytest.raises(DnaError, match=f"cannot write {path}: File too large"):
        files.write(path, bytes(5000))
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "file")
    files.write(tmp_path / "link", "x")
    files.write(tmp_path / "link", "y")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_text() == "y"


def test_devices_and_pipes_are_written_in_place(tmp_path):
    with pytest.raises(DnaError, match="cannot write /dev/full: No space left on device"):
        files.write("/dev/full", "x")
    files.write("/dev/null", "x")
    assert not os.path.isfile("/dev/null")
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    files.write(tmp_path / "pipe", "through")
    assert os.read(reader, 100) == b"through"
    os.close(reader)


def test_a_folder_or_nothing_to_write_to_is_a_line(tmp_path):
    with pytest.raises(DnaError, match=f"cannot write {tmp_path}: Is a directory"):
        files.write(tmp_path, "x")
    with pytest.raises(DnaError, match="No such file or directory"):
        files.write(tmp_path / "nowhere" / "file", "x")
    (tmp_path / "file").touch()
    with pytest.raises(DnaError, match="Not a directory"):
        files.write(tmp_path / "file" / "below", "x")


def test_what_is_read_only_stays(tmp_path, monkeypatch):
    """As for somebody who is not root: what the mode forbids."""
    monkeypatch.setattr(os, "access", lambda path, _: bool(os.stat(path).st_mode & 0o200))
    path = tmp_path / "file"
    path.write_text("old")
    path.chmod(0o444)
    with pytest.raises(DnaError, match=f"cannot write {path}: it is read-only"):
        files.write(path, "new")
    assert path.read_text() == "old"
    path.chmod(0o644)
    tmp_path.chmod(0o555)
    files.write(path, "in place")
    tmp_path.chmod(0o755)
    assert path.read_text() == "in place"
    assert list(tmp_path.iterdir()) == [path]
