"""The description of the system under test: what is known, what is asked, what is simulated."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import re
from pathlib import Path
from typing import Any

import msgspec

from harness.hardware.timing.clock import Clock
from harness.host import computer
from sw.artifact import Manifest, Target
from sw.errors import DnaError
from sw.version import VERSION

ASKED = {
    "submitter": "your organization, as the folder is to be called",
    "division": "closed or open; a simulated machine belongs to open",
    "status": "available, preview or rdi; a machine that does not exist is rdi",
    "system_name": "what the system is called",
    "host_processors_per_node": "number of processors",
    "host_memory_capacity": "such as 24 GB",
    "host_memory_configuration": "such as 2 x 12 GB DDR5",
    "host_storage_capacity": "such as 500 GB",
    "host_storage_type": "such as SSD",
    "host_networking": "such as Ethernet, or N/A",
    "host_network_card_count": "such as 1",
    "host_networking_topology": "such as N/A",
    "cooling": "air, liquid, passive",
    "starting_weights_filename": "the float32 weights that were quantized (measurements)",
}
"""Fields that only the user knows, and what is meant."""

MODELLED = "all times are modelled"
"""Words of :func:`declaration` where they are."""

CHOICES = {"division": ("closed", "open"), "status": ("available", "preview", "rdi")}
OPTIONAL = (
    "host_processor_frequency",
    "host_processor_caches",
    "host_processor_interconnect",
    "system_type_detail",
)
NOT_IN_V1_1 = ("host_network_card_count", "system_type_detail")
NUMBERS = ("host_processors_per_node", "host_network_card_count")
"""Fields that may also be numbers of JSON."""

LONGEST = 100
"""Bytes of a folder's name; file systems take 255, and some names are put together."""

MEASUREMENT = "starting_weights_filename"
NOTES = "hw_notes"


def declaration(machine: dict[str, Any] | None) -> str:
    """The sentence that says what is simulated.

    Args:
        machine: ``device`` of the figures of a modelled run, or None: host time.
    """
    if machine is None:
        return (
            "SIMULATED: the accelerator does not exist; its answers are computed bit by bit by a "
            "functional model on the host's CPU, and all times are that CPU's."
        )
    return (
        "SIMULATED: the accelerator does not exist; its answers are computed bit by bit by a "
        f"functional model, and {MODELLED}: {machine['cycles']} cycles a program, from a cycle "
        f"model of the RTL, at {_clock(machine)}."
    )


def _clock(machine: dict[str, Any]) -> Clock:
    """The clock of a modelled run, with its proof."""
    return msgspec.convert(machine["clock"], Clock)


def template() -> dict[str, Any]:
    """A description with null where the user must fill something in."""
    return {**dict.fromkeys(ASKED), **dict.fromkeys(OPTIONAL, ""), NOTES: ""}


def read(path: Path) -> dict[str, Any]:
    """The user's part.

    Raises:
        DnaError: it cannot be read, or fields are missing: they are named with what they mean.
    """
    try:
        said = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise DnaError(
            f"cannot read {path}: {error}; make one with `dna submission template`"
        ) from error
    if not isinstance(said, dict):
        raise DnaError(f"{path} holds no object; make one with `dna submission template`")
    missing = [name for name in ASKED if str(said.get(name) or "").strip() == ""]
    if missing:
        wanted = "; ".join(f"{name} ({ASKED[name]})" for name in missing)
        raise DnaError(f"{path} lacks {wanted}")
    unknown = sorted(set(said) - set(template()))
    if unknown:
        raise DnaError(f"{path} has unknown fields: {', '.join(unknown)}")
    for name, value in said.items():
        if not isinstance(value, (str, int) if name in NUMBERS else str):
            raise DnaError(f"{path}: {name} is {value!r}, no text")
    for name, choices in CHOICES.items():
        if said[name] not in choices:
            raise DnaError(f"{path}: {name} is {said[name]!r}, not one of {', '.join(choices)}")
    if not re.fullmatch(r"\w[\w.-]*", said["submitter"]):
        raise DnaError(
            f"{path}: submitter {said['submitter']!r} becomes a folder: letters, digits, _ . - "
            "only, and no dot at its beginning"
        )
    for name, folder in (("submitter", said["submitter"]), ("system_name", identifier(said))):
        if not 1 <= len(folder.encode()) <= LONGEST:
            raise DnaError(
                f"{path}: {name} {said[name]!r} becomes a folder: 1 to {LONGEST} letters and digits"
            )
    return said


def identifier(said: dict[str, Any]) -> str:
    """What the system's folders are called: its name in letters, digits, ``_`` and ``-``."""
    return in_letters(said["system_name"])


def in_letters(name: str) -> str:
    """A name as one of a folder: in letters, digits, ``_`` and ``-``."""
    return re.sub(r"[^\w-]+", "_", name).strip("_")


def describe(
    said: dict[str, Any], manifest: Manifest, machine: dict[str, Any] | None, round_name: str
) -> dict[str, Any]:
    """The whole description.

    Args:
        said: by the user (:func:`read`).
        manifest: of the artifact.
        machine: ``device`` of the figures of a modelled run, or None.
        round_name: of MLPerf.
    """
    fields: dict[str, Any] = {
        "system_type": "edge",
        "number_of_nodes": 1,
        "host_processor_model_name": computer.description().split(",")[0],
        "host_processor_core_count": os.cpu_count(),
        "framework": f"open DNA {VERSION}",
        "operating_system": f"{platform.system()} {platform.release()}",
        "other_software_stack": (
            f"Python {platform.python_version()}, "
            f"LoadGen {importlib.metadata.version('mlcommons-loadgen')}"
        ),
        "accelerators_per_node": 1,
        "accelerator_interconnect": "N/A",
        "accelerator_interconnect_topology": "N/A",
        "sw_notes": "",
        **_accelerator(manifest.target, machine),
        **{name: said.get(name, "") for name in OPTIONAL},
        **{name: said[name] for name in ASKED if name != MEASUREMENT},
        NOTES: " ".join(filter(None, (declaration(machine), said.get(NOTES)))),
    }
    if round_name == "v1.1":
        for name in NOT_IN_V1_1:
            del fields[name]
    return fields


def _accelerator(target: Target | None, machine: dict[str, Any] | None) -> dict[str, Any]:
    if target is None or machine is None:
        text = "N/A: simulated on the host's CPU"
        return {
            "accelerator_model_name": "open DNA, functional model",
            "accelerator_frequency": text,
            "accelerator_memory_capacity": text,
            "accelerator_memory_configuration": text,
            "accelerator_on-chip_memories": text,
            "accelerator_host_interconnect": text,
        }
    config, memory = target.config, machine["memory"]
    bandwidth = memory["bytes_per_cycle"] * machine["clock"]["mhz"] / 1e3
    feature = config.feature_words * config.rows // 1024
    return {
        "accelerator_model_name": f"open DNA {config.name}, {config.macs} MACs (modelled)",
        "accelerator_frequency": str(_clock(machine)),
        "accelerator_memory_capacity": f"{target.memory.size / 1e6:.1f} MB in use (modelled)",
        "accelerator_memory_configuration": (
            f"modelled: {memory['name']}, at most {bandwidth:.4g} GB/s, "
            f"latency {memory['latency_cycles']} cycles"
        ),
        "accelerator_on-chip_memories": f"feature memory of {feature} KiB",
        "accelerator_host_interconnect": "AXI4 and AXI4-Lite (modelled)",
    }
