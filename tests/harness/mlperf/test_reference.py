"""The backend in a checkout that has the shape of the reference, but none of its text."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from harness.cli import dna
from harness.mlperf import reference
from sw.errors import DnaError

SHELL = """#!/bin/bash
[ "$MODEL_DIR" ] || { echo "MODEL_DIR not set"; exit 1; }
backend=other
model=resnet50
device=cpu
for i in $*; do
	case $i in
	other) backend=$i; shift;;
	resnet50) model=$i; shift;;
	esac
done
model_path="$MODEL_DIR/a_model"
profile="$model-$backend"
name="$backend-$device/$model"
"""
RUN = """#!/bin/bash
source ./run_common.sh
python3 python/main.py --profile $profile --model "$model_path" --dataset-path "$DATA_DIR" $@
"""
MAIN = """import argparse
import json

SUPPORTED_PROFILES = {
    "resnet50-other": {"backend": "other"},
}


def get_args():
    parser = argparse.ArgumentParser()
    for name in ("--profile", "--model", "--dataset-path", "--dataset", "--scenario"):
        parser.add_argument(name)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    for key, value in SUPPORTED_PROFILES[args.profile].items():
        key = key.replace("-", "_")
        if getattr(args, key, None) is None:
            setattr(args, key, value)
    return args


def get_backend(backend):
    if backend == "other":
        return None
    raise ValueError("unknown backend: " + backend)


args = get_args()
backend = get_backend(args.backend)
found = {"args": vars(args), "backend": backend and [c.__name__ for c in type(backend).__mro__]}
print(json.dumps(found))
"""
BACKEND = "class Backend:\n    def __init__(self):\n        self.inputs = []\n"


@pytest.fixture
def checkout(tmp_path):
    folder = tmp_path / "inference" / reference.FOLDER
    (folder / "python").mkdir(parents=True)
    for name, text in (
        ("run_common.sh", SHELL),
        ("run_local.sh", RUN),
        ("python/main.py", MAIN),
        ("python/backend.py", BACKEND),
    ):
        (folder / name).write_text(text)
    (folder / "run_local.sh").chmod(0o755)
    return tmp_path / "inference"


def contents(folder):
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mode)
        for path in folder.rglob("*")
        if path.is_file()
    }


def run(checkout, tmp_path, *arguments, prepare="pass", **environment):
    """`./run_local.sh`, with harness.mlperf.backend.prepare replaced; (exit code, output)."""
    (tmp_path / "sitecustomize.py").write_text(
        "import harness.mlperf.backend\n"
        f"def prepare(args):\n    {prepare}\n"
        "harness.mlperf.backend.prepare = prepare\n"
    )
    (tmp_path / "bin").mkdir(exist_ok=True)
    if not (tmp_path / "bin" / "python3").exists():
        (tmp_path / "bin" / "python3").symlink_to(sys.executable)
    root = Path(__file__).parents[3]
    clean = {name: value for name, value in os.environ.items() if name != "MODEL_DIR"}
    done = subprocess.run(
        ["./run_local.sh", *arguments],
        cwd=checkout / reference.FOLDER,
        env={
            **clean,
            "PYTHONPATH": f"{tmp_path}:{root}:{':'.join(sys.path[1:])}",
            "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
            "PYTHONDONTWRITEBYTECODE": "1",
            "DATA_DIR": "photographs",
            **environment,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("name", reference.NAMES)
def test_the_seeds_command_line(checkout, tmp_path, name):
    reference.install(checkout)
    code, output = run(checkout, tmp_path, name, "resnet50", "--dataset-calibration-list", "LIST")
    assert code == 0, output
    found = json.loads(output)
    assert found["backend"][:3] == ["BackendDna", "DnaBackend", "Backend"]
    args = found["args"]
    assert (args["profile"], args["model"]) == ("resnet50-dna", "-")
    assert (args["dataset_path"], args["dataset_calibration_list"]) == ("photographs", "LIST")


def test_what_prepare_decides_is_kept(checkout, tmp_path):
    reference.install(checkout)
    code, output = run(
        checkout,
        tmp_path,
        "dna",
        "resnet50",
        prepare="args.model, args.dataset = args.model + '/deployed', 'imagenet'",
        MODEL_DIR="weights",
    )
    assert code == 0, output
    args = json.loads(output)["args"]
    assert (args["model"], args["dataset"]) == ("weights/deployed", "imagenet")


def test_other_backends_do_as_before(checkout, tmp_path):
    """They do not even import ours."""
    reference.install(checkout)
    fails = "raise AssertionError"
    code, output = run(checkout, tmp_path, "other", "resnet50", prepare=fails, MODEL_DIR="m")
    assert code == 0, output
    assert json.loads(output)["args"]["model"] == "m/a_model"
    assert json.loads(output)["backend"] is None
    code, output = run(checkout, tmp_path, "other", "resnet50", prepare=fails)
    assert (code, output) == (1, "MODEL_DIR not set\n")


def test_it_undoes_itself_exactly(checkout):
    before = contents(checkout)
    reference.install(checkout)
    once = contents(checkout)
    assert set(once) - set(before) == {str(reference.FOLDER / reference.MODULE)}
    reference.install(checkout)
    assert contents(checkout) == once
    assert len(reference.remove(checkout)) == 3
    assert contents(checkout) == before
    assert reference.remove(checkout) == []


def test_only_lines_are_added(checkout):
    before = (checkout / reference.FOLDER / "python/main.py").read_text().splitlines()
    reference.install(checkout)
    after = (checkout / reference.FOLDER / "python/main.py").read_text().splitlines()
    assert [line for line in after if not line.endswith(reference.MARK)] == before


def test_edits_of_the_user_survive(checkout):
    reference.install(checkout)
    main = checkout / reference.FOLDER / "python/main.py"
    main.write_text(main.read_text() + "# mine\n")
    reference.remove(checkout)
    assert main.read_text() == MAIN + "# mine\n"


def test_an_unknown_reference_is_left_alone(checkout, tmp_path):
    main = checkout / reference.FOLDER / "python/main.py"
    main.write_text(MAIN.replace("def get_backend(backend)", "def find_backend(backend)"))
    before = contents(checkout)
    with pytest.raises(DnaError, match=r"main.py is unlike the versions that are known: 0 lines"):
        reference.install(checkout)
    assert contents(checkout) == before
    with pytest.raises(DnaError, match=r"is no checkout of mlcommons/inference: .* is missing"):
        reference.install(tmp_path)


def test_command(checkout):
    done = CliRunner().invoke(dna, ["backend", "install", str(checkout)])
    assert done.exit_code == 0
    assert "backend_dna.py" in done.output
    assert "LoadGen" not in done.output
    done = CliRunner().invoke(dna, ["backend", "remove", str(checkout)])
    assert "main.py" in done.output
    done = CliRunner().invoke(dna, ["backend", "remove", str(checkout)])
    assert done.output == f"nothing to remove: the backend is not in {checkout}\n"
    main = checkout / reference.FOLDER / "python/main.py"
    main.write_text(MAIN + "def process_latencies(latencies):\n    pass\n")
    done = CliRunner().invoke(dna, ["backend", "install", str(checkout)])
    assert "needs the LoadGen of its time: pip install" in done.output


def test_windows_line_ends_stay(checkout):
    main = checkout / reference.FOLDER / "python/main.py"
    main.write_bytes(MAIN.replace("\n", "\r\n").encode())
    before = contents(checkout)
    reference.install(checkout)
    assert b"\n" not in main.read_bytes().replace(b"\r\n", b"")
    reference.remove(checkout)
    assert contents(checkout) == before


def test_nothing_is_written_or_all(checkout, monkeypatch):
    """A full disk, a line that is there twice, a file of somebody else."""
    before = contents(checkout)
    writes = iter([None, None, OSError(28, "No space left on device")])

    def fsync(number):
        if (error := next(writes)) is not None:
            raise error

    with monkeypatch.context() as patch:
        patch.setattr(reference.os, "fsync", fsync)
        with pytest.raises(DnaError, match=r"cannot write .*backend_dna.py: No space left"):
            reference.install(checkout)
    assert contents(checkout) == before
    with monkeypatch.context() as patch:
        patch.setattr(reference.os, "access", lambda path, mode: path.name != "main.py")
        with pytest.raises(DnaError, match=r"main.py: it is read-only; nothing was changed"):
            reference.install(checkout)
    assert contents(checkout) == before
    theirs = checkout / reference.FOLDER / reference.MODULE
    theirs.write_text("mine\n")
    with pytest.raises(DnaError, match=r"backend_dna.py is not open DNA's; move it away"):
        reference.install(checkout)
    assert reference.remove(checkout) == []
    assert theirs.read_text() == "mine\n"
    theirs.unlink()
    main = checkout / reference.FOLDER / "python/main.py"
    main.write_text(MAIN + "def get_backend(backend):\n    pass\n")
    before = contents(checkout)
    with pytest.raises(DnaError, match="2 lines, not one, match"):
        reference.install(checkout)
    assert contents(checkout) == before
