"""Changes to what a manifest says, with checksums made anew."""

import hashlib
import json

import msgspec

from sw import artifact
from sw.artifact.binding import sealed
from sw.artifact.manifest import Target


def rewrite(path, change):
    """Let ``change`` work on the manifest as plain JSON."""
    manifest = json.loads((path / artifact.MANIFEST).read_text())
    change(manifest)
    (path / artifact.MANIFEST).write_text(json.dumps(manifest))


def rehash(path, *, seal=False):
    """Make the checksums of ``path`` fit its files; with ``seal`` also those of the program."""

    def change(manifest):
        for name in manifest["files"]:
            manifest["files"][name] = hashlib.sha256((path / name).read_bytes()).hexdigest()
        if seal:
            target = msgspec.convert(manifest["target"], Target)
            manifest["target"] = msgspec.to_builtins(sealed(target, manifest["files"]))

    rewrite(path, change)
