"""What MLPerf's reference code costs beside `dna loadgen`, both with the same artifact.

``python -m tests.sweeps.backend_overhead CHECKOUT DATA_DIR LIST`` takes a checkout of MLPerf's
reference code into which ``dna backend install`` has put the backend, photographs with
val_map.txt, and the names of those for calibration. SingleStream runs of both take turns; the
latencies are LoadGen's. Run it on a quiet machine.
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table

from harness.loadgen import logs
from harness.mlperf.reference import FOLDER

FIGURES = {
    "mean": "result_mean_latency_ns",
    "90th percentile": "result_90.00_percentile_latency_ns",
}
OUTPUT = Path("output/dna-cpu/resnet50")


def reference(
    checkout: Path, data_dir: Path, calibration: Path, seconds: int, threads: int
) -> tuple[Path, logs.Detail]:
    """The artifact that the reference deployed and ran, and LoadGen's log of its run."""
    folder = checkout / FOLDER
    command = ["./run_local.sh", "dna", "resnet50", "--scenario", "SingleStream"]
    options = ["--time", str(seconds), "--threads", str(threads)]
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    done = subprocess.run(
        [*command, *options, "--dataset-calibration-list", str(calibration.resolve())],
        cwd=folder,
        env={**os.environ, "PATH": path, "DATA_DIR": str(data_dir.resolve())},
        capture_output=True,
        text=True,
        check=False,
    )
    deployed = re.search(r"^open DNA: (.*)$", done.stderr, re.MULTILINE)
    if done.returncode or not deployed:
        raise SystemExit(done.stderr)
    return Path(deployed[1]), logs.Detail(folder / OUTPUT)


def bare(artifact: Path, data_dir: Path, seconds: int, threads: int) -> logs.Detail:
    """LoadGen's log of a run without the reference."""
    with tempfile.TemporaryDirectory() as folder:
        options = ["--data-dir", str(data_dir), "--threads", str(threads), "-o", folder]
        command = [sys.executable, "-m", "harness.cli", "loadgen", str(artifact), *options]
        subprocess.run(
            [*command, "--scenario", "SingleStream", "--min-duration", str(seconds)],
            stdout=subprocess.DEVNULL,
            check=True,
        )
        return logs.Detail(Path(folder))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkout", type=Path)
    parser.add_argument("data_dir", type=Path)
    parser.add_argument("calibration_list", type=Path)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=int, default=15, help="of each run")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    length = (arguments.seconds, arguments.threads)
    rounds = []
    for _ in track(range(arguments.rounds), "rounds", console=Console(stderr=True)):
        artifact, theirs = reference(
            arguments.checkout, arguments.data_dir, arguments.calibration_list, *length
        )
        ours = bare(artifact, arguments.data_dir, *length)
        rounds.append({name: (theirs[key] / 1e6, ours[key] / 1e6) for name, key in FIGURES.items()})
    table = Table("latency", "reference, ms", "dna loadgen, ms", "ratio, median", "ratios")
    for name in FIGURES:
        pairs = [figures[name] for figures in rounds]
        ratios = [theirs / ours for theirs, ours in pairs]
        table.add_row(
            name,
            *(f"{statistics.median(column):.3f}" for column in zip(*pairs, strict=True)),
            f"{statistics.median(ratios):.3f}",
            " ".join(f"{ratio:.3f}" for ratio in ratios),
        )
    Console(soft_wrap=True).print(table)


if __name__ == "__main__":
    main()
