"""`dna loadgen` as a process of its own, as LoadGen wants it."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np

from harness.loadgen import logs
from sim.quantization import quantize
from sim.reference import ReferenceModel
from sw import artifact
from tests.support.tiny import load_image

PHOTOGRAPHS = 20


COMMAND = [sys.executable, "-m", "harness.cli", "loadgen"]


def environment():
    root = str(pathlib.Path(__file__).parents[2])
    clean = {name: value for name, value in os.environ.items() if name != "DATA_DIR"}
    return {**clean, "PYTHONPATH": root}


def with_fixed_cycles(command, folder, cycles):
    """Run ``command`` of :mod:`tests.support.fixed_cycles`, which logs to ``logs`` in ``folder``.

    Returns: exit code, figures or None, stdout, stderr.
    """
    done = subprocess.run(
        [*command, "--json", "figures.json", "-o", "logs"],
        cwd=folder,
        env={**environment(), "FIXED_CYCLES": str(cycles)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    file = folder / "figures.json"
    figures = json.loads(file.read_text()) if file.is_file() else None
    return done.returncode, figures, done.stdout, done.stderr


def interrupt(command, folder, env):
    """Run ``command``, which logs to ``logs`` in ``folder``, and press Ctrl-C in the test."""
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        deadline = time.monotonic() + 60
        while not list(folder.glob(f"logs/.unfinished-*/{logs.DETAIL}")):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130, stderr
    return stdout, stderr


def one_line_error(stderr: str) -> str:
    """The error line; LiteRT may have said something before it."""
    assert "Traceback" not in stderr
    return next(line for line in stderr.splitlines() if line.startswith("error: "))


def expected_classes(network, data_dir) -> list[int]:
    """What the plain reference sees in the photographs."""
    loaded = artifact.load(network)
    source = loaded.manifest.input
    paths = [data_dir / f"{number}.jpg" for number in range(PHOTOGRAPHS)]
    images = np.stack([quantize(load_image(path, "caffe"), source) for path in paths])
    return ReferenceModel(loaded.graph).run(images).argmax(axis=1).tolist()
