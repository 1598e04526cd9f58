"""Programs in processes of their own."""

import os
import subprocess
import sys


def printed_in_every_process(program):
    """What a program prints, in processes whose sets have other orders; one text if it is sound."""
    return {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
