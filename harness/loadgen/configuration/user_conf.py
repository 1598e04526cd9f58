"""A file in LoadGen's form, checked: LoadGen itself passes over what it does not know.

It reads `MODEL.SCENARIO.KEY = NUMBER` with spaces around the sign; a file may have lines for other
models and scenarios, and `*` stands for all.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Iterable
from pathlib import Path

from sw.errors import DnaError

MOST_SAMPLES = 10_000_000
"""Of a run: LoadGen and its Python bindings hold a record of each in memory, some 350 bytes."""

WEEK_MS = 7 * 24 * 3600 * 1000
SCENARIOS = ("SingleStream", "MultiStream", "Server", "Offline")
MODELS = (
    "resnet50",
    *("ssd-mobilenet", "ssd-resnet34", "retinanet", "yolo", "pointpainting"),
    *("bert", "dlrm", "dlrm-v2", "dlrm-v3", "rnnt", "gptj", "3d-unet", "rgat", "whisper"),
    *("mixtral-8x7b", "llama2-70b", "llama2-70b-interactive"),
    *("llama3_1-405b", "llama3_1-405b-interactive"),
    *("llama3_1-8b", "llama3_1-8b-edge", "llama3_1-8b-interactive"),
    *("stable-diffusion-xl", "deepseek-r1", "deepseek-r1-interactive"),
    *("qwen3-vl-235b-a22b", "gpt-oss-120b", "gpt-oss-120b-interactive"),
)
"""Those of MLPerf's rounds; a target of accuracy may follow, as in bert-99.9."""

_LINE = re.compile(r"([^\s=#]+)\.([^.\s=#]+)\.([^.\s=#]+)\s+=\s+([^\s#=]+)")
_TARGET = re.compile(r"-99(\.9)?$")
_WHOLE = re.compile(r"0|[1-9]\d*")
_NUMBER = re.compile(r"[+-]?([\d.][\w.+-]*|nan|inf)", re.IGNORECASE)
_REAL = re.compile(r"\d+(\.\d*)?([eE][+-]?\d+)?|\.\d+([eE][+-]?\d+)?")


@dataclasses.dataclass(frozen=True)
class Key:
    """What LoadGen takes.

    Attributes:
        least, most: values that can be.
        unit: of them.
        real: whether it reads a fraction; of ``1e3`` it would read 1 otherwise.
        above: whether ``least`` itself cannot be.
        scenarios: that have the key.
        audit: it is read in an audit.config alone.
    """

    least: float
    most: float
    unit: str = ""
    real: bool = False
    above: bool = False
    scenarios: tuple[str, ...] = SCENARIOS
    audit: bool = False

    def range(self, name: str) -> str:
        """The rule in words."""
        unit = f", in {self.unit}," if self.unit else ""
        lower = "above" if self.above else "at least"
        return f"{name}{unit} must be {lower} {self.least:.12g} and at most {self.most:.12g}"


_FLAG = Key(0, 1)
_SEED = Key(0, float("inf"), audit=True)
_HOUR_MS = 3_600_000
KEYS: dict[str, Key] = {
    "min_duration": Key(0, WEEK_MS, "milliseconds"),
    "max_duration": Key(0, WEEK_MS, "milliseconds"),
    "min_query_count": Key(0, MOST_SAMPLES),
    "max_query_count": Key(0, MOST_SAMPLES),
    "performance_sample_count_override": Key(0, MOST_SAMPLES),
    "accuracy_sample_count_override": Key(0, MOST_SAMPLES),
    "accuracy_log_rng_seed": Key(0, 2**64 - 1),
    "accuracy_log_sampling_target": Key(0, MOST_SAMPLES),
    "accuracy_log_probability": Key(0, 100, "percent", real=True, audit=True),
    "print_timestamps": _FLAG,
    "performance_issue_unique": _FLAG,
    "performance_issue_same": _FLAG,
    "performance_issue_same_index": Key(0, MOST_SAMPLES),
    "target_latency": Key(
        0, _HOUR_MS, "milliseconds", real=True, above=True, scenarios=SCENARIOS[:3]
    ),
    "target_latency_percentile": Key(
        0, 100, "percent", real=True, above=True, scenarios=SCENARIOS[:3]
    ),
    "samples_per_query": Key(1, 4096, scenarios=("MultiStream",)),
    "target_qps": Key(
        0, MOST_SAMPLES, "samples per second", real=True, above=True, scenarios=SCENARIOS[2:]
    ),
    "coalesce_queries": Key(0, 1, scenarios=("Server",)),
    "max_async_queries": Key(0, MOST_SAMPLES, scenarios=("Server",)),
    "mode": Key(0, 3, audit=True),
    "qsl_rng_seed": _SEED,
    "sample_index_rng_seed": _SEED,
    "schedule_rng_seed": _SEED,
}
"""What LoadGen 6.0 reads for a model of images."""


def read(path: Path, *, audit: bool) -> str:
    """The text of a file of settings.

    Args:
        path: the file.
        audit: it is the audit.config of a compliance test, which may set more.

    Raises:
        DnaError: it cannot be read, or LoadGen would not do what it says; with the line.
    """
    try:
        text = path.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise DnaError(f"cannot read {path}: {reason}") from error
    if text.startswith("\ufeff"):
        raise DnaError(
            f"{path}, line 1: a byte order mark is in front, and LoadGen would pass over the line; "
            "save the file as UTF-8 without one"
        )
    set_in: dict[str, int] = {}
    for number, line in enumerate(text.split("\n"), 1):
        words = line.strip(" \t\r\v\f")
        if words and not words.startswith("#"):
            _check(words, f"{path}, line {number}", path, audit, set_in, number)
    return text


def _check(
    line: str, where: str, path: Path, audit: bool, set_in: dict[str, int], number: int
) -> None:
    found = _LINE.fullmatch(line)
    if found is None or not _NUMBER.fullmatch(found[4]):
        raise DnaError(
            f"{path} is not a LoadGen configuration; its lines are "
            f"`MODEL.SCENARIO.KEY = NUMBER`, as in resnet50.Offline.target_qps = 100, with spaces "
            f"around = and comments on lines of their own (line {number}, {line!r}, is not)"
        )
    model, scenario, name, value = found.groups()
    _known(where, "model", model, ["*", *MODELS], _TARGET.sub("", model))
    _known(where, "scenario", scenario, ["*", *SCENARIOS], scenario)
    if audit and model != "*":
        raise DnaError(f"{where}: of an audit.config LoadGen reads lines for * alone, not {model}")
    first = set_in.setdefault(f"{model}.{scenario}.{name}", number)
    if first != number:
        raise DnaError(f"{where}: line {first} sets {model}.{scenario}.{name}, too; keep one")
    if _TARGET.sub("", model) not in ("*", "resnet50"):
        return  # none of our business
    keys = [
        key
        for key, rule in KEYS.items()
        if (audit or not rule.audit) and scenario in ("*", *rule.scenarios)
    ]
    if name in KEYS and name not in keys:
        raise DnaError(f"{where}: LoadGen passes over {name} {_why(KEYS[name], scenario)}")
    _known(where, "key", name, keys, name)
    _check_value(where, name, value, KEYS[name])


def _known(where: str, what: str, said: str, known: Iterable[str], looked_up: str) -> None:
    choices = list(known)
    if looked_up in choices:
        return
    lower = {choice.lower(): choice for choice in choices}
    near = difflib.get_close_matches(looked_up.lower(), lower, n=1, cutoff=0.4)
    hint = f"the nearest is {lower[near[0]]}" if near else f"there are {', '.join(choices)}"
    raise DnaError(f"{where}: LoadGen knows no {what} {said!r} and would pass over it; {hint}")


def _why(rule: Key, scenario: str) -> str:
    if rule.audit:
        return "in a user.conf (MLPerf says what it is; seeds are those of --round)"
    return f"in {scenario}: it is for {' and '.join(rule.scenarios)}"


def _check_value(where: str, name: str, value: str, rule: Key) -> None:
    if not (_REAL if rule.real else _WHOLE).fullmatch(value):
        kind = "a number" if rule.real else "a whole number"
        raise DnaError(
            f"{where}: {name} is {value}, which LoadGen would misread; {kind} in decimal digits "
            f"is needed: {rule.range(name)}"
        )
    number = float(value)
    if not rule.least <= number <= rule.most or (rule.above and number == rule.least):
        raise DnaError(f"{where}: {name} is {value}; {rule.range(name)}")
