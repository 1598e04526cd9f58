"""A submission's tree, made of finished runs."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import hw
from harness.loadgen import logs
from harness.loadgen.configuration.benchmarks import RESNET50
from harness.mlperf.audit import compliance, compliance_scripts
from harness.mlperf.audit.compliance_scripts import PAIR
from harness.mlperf.submissions import system
from harness.mlperf.submissions.rounds import MAPPING, RESULTS, Entry, Round
from harness.mlperf.submissions.series import ACCURACY, PERFORMANCE, USER_CONF, Run, Series
from sw.artifact import Artifact
from sw.errors import DnaError

MAX_ACCURACY_LOG = 10 * 1024
KEPT = 4000  # bytes of a long accuracy log that stay, from its beginning and from its end
PACKAGES = ("hw", "sw", "sim", "harness")


def write(
    series: Series, network: Artifact, said: dict[str, Any], output: Path, reference: Path | None
) -> list[str]:
    """Write the tree, in place of one that is there.

    Args:
        series: finished.
        network: the artifact that was run.
        said: the user's part of the system's description.
        output: folder of the tree; it appears whole or not at all.
        reference: a checkout of mlcommons/inference whose scripts judge the compliance tests where
            they can; None: our reading of the rules.

    Returns:
        Compliance tests that failed.

    Raises:
        DnaError: something cannot be read or written.
    """
    check_output(output)
    left_over = f".{output.name}-"
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        for old in output.parent.glob(f"{left_over}*"):
            shutil.rmtree(old, ignore_errors=True)
        work = Path(tempfile.mkdtemp(prefix=left_over, dir=output.parent))
        try:
            failed = _write(series, network, said, work / "new", reference)
            if output.exists():
                os.replace(output, work / "old")  # at once: nobody finds half of it
            os.replace(work / "new", output)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    except (OSError, UnicodeDecodeError) as error:
        raise DnaError(f"cannot write {output}: {error}") from error
    return failed


def check_output(output: Path) -> None:
    """Fail before the work starts if what is there is no submission.

    Raises:
        DnaError: it is not, and would be lost.
    """
    if output.is_dir():
        names = {path.name for path in output.iterdir()}
    else:
        names = {output.name} if output.exists() else set()
    if not names <= set(system.CHOICES["division"]):
        raise DnaError(
            f"{output} holds something else than a submission; remove it or choose another --output"
        )


def _write(
    series: Series, network: Artifact, said: dict[str, Any], root: Path, reference: Path | None
) -> list[str]:
    round_, name = series.round, system.identifier(said)
    submitter = root / said["division"] / said["submitter"]
    machine = series.figures(series.runs[0]).get("device")
    description = system.describe(said, network.manifest, machine, round_.name)
    _json(submitter / "systems" / f"{name}.json", description)
    _text(submitter / "calibration.md", _calibration(network, said))
    model = _folder(series.entry, network)
    if model != series.entry.name:
        _json(submitter / MAPPING, {model: series.entry.name})
    code = submitter / round_.place(round_.code, name, model, "")
    for package in PACKAGES:
        source = Path(hw.__file__).parents[1] / package
        shutil.copytree(source, code / package, ignore=shutil.ignore_patterns("__pycache__"))
    _text(code / "README.md", _README)
    failed = []
    for scenario in round_.scenarios:
        results = submitter / round_.place(RESULTS, name, model, scenario)
        accuracy = series.place(Run(scenario, ACCURACY))
        performance = series.place(Run(scenario, PERFORMANCE))
        _performance(performance, results / "performance" / "run_1")
        answered = series.figures(Run(scenario, ACCURACY))
        _accuracy(answered, series.entry, accuracy, results / "accuracy")
        measurements = submitter / round_.place(round_.measurements, name, model, scenario)
        file = round_.measurements_file.format(system=name, scenario=scenario)
        _json(measurements / file, _measurements(said))
        _text(measurements / USER_CONF, series.user_conf(scenario).read_text())
        figures = series.figures(Run(scenario, PERFORMANCE))
        _text(measurements / "README.md", _how(figures, round_, series.entry, scenario))
        if round_.has_mlperf_conf:
            _text(measurements / "mlperf.conf", _mlperf_conf(reference))
        place = submitter / round_.place(round_.compliance, name, model, scenario)
        for test in series.tests:
            run = series.place(Run(scenario, test))
            asked, judged, compared = test, run, performance
            if test in PAIR:
                asked = PAIR[1]
                compared, judged = (series.place(Run(scenario, one)) for one in PAIR)
            if reference is not None and compliance_scripts.find(asked, reference):
                verdict = compliance_scripts.verify(asked, judged, compared, accuracy, reference)
            else:
                whose = series.entry.benchmark
                verdict = compliance.verify(asked, judged, compared, accuracy, whose)
            compliance.write(test, verdict, run, place / test)
            if not verdict.passed:
                failed.append(f"{scenario} {test}")
    return failed


def _folder(entry: Entry, network: Artifact) -> str:
    """What the network's folders are called: in the open division by its own name.

    Only ResNet50 is what the benchmark says (:mod:`harness.mlperf.resnet50`).
    """
    if entry.benchmark is RESNET50:
        return entry.name
    return system.in_letters(network.manifest.model) or entry.name


def _performance(run: Path, place: Path) -> None:
    place.mkdir(parents=True)
    for name in (logs.SUMMARY, logs.DETAIL):
        shutil.copyfile(run / name, place / name)


def _accuracy(figures: dict[str, Any], entry: Entry, run: Path, place: Path) -> None:
    """The logs, the answers cut to the size that MLPerf allows, and the hash of all of them."""
    _performance(run, place)
    answers = (run / logs.ACCURACY).read_bytes()
    digest = hashlib.sha256(answers).hexdigest()
    images, share = figures["images"], figures[entry.benchmark.metric]
    if entry.benchmark is RESNET50:
        text = f"accuracy={100 * share:.3f}%, good={round(share * images)}, total={images}"
    else:
        text = f"mAP={100 * share:.3f}%\nfound {images} images"
    _text(place / "accuracy.txt", f"{text}\nhash={digest}\n")
    if len(answers) > MAX_ACCURACY_LOG:
        answers = answers[:KEPT] + b"\n...\n" + answers[-KEPT:]
    (place / logs.ACCURACY).write_bytes(answers)


def _measurements(said: dict[str, Any]) -> dict[str, str]:
    return {
        "input_data_types": "int8",
        "retraining": "no",
        "starting_weights_filename": said[system.MEASUREMENT],
        "weight_data_types": "int8",
        "weight_transformations": (
            "batch normalization folded into weights and biases; symmetric int8 per output "
            "channel; laid out in the order in which the machine consumes them"
        ),
    }


def _how(figures: dict[str, Any], round_: Round, entry: Entry, scenario: str) -> str:
    lines = [
        f"# {scenario}, {round_.name}",
        "",
        system.declaration(figures.get("device")),
        "",
        "The run, with open DNA installed:",
        "",
        f"    dna loadgen ARTIFACT --benchmark {entry.benchmark.name} --scenario {scenario} \\",
        f"        --round {round_.name} --data-dir DIR --timing {figures['timing']} \\",
        f"        --user-conf {USER_CONF}",
        "",
        f"- network: {figures['model']}",
        f"- DIR: {entry.benchmark.data}",
        f"- LoadGen: {figures['loadgen']}",
        f"- photographs held in memory: {figures['samples']}",
        f"- host: {figures['machine']}",
    ]
    if "host" in figures:
        part = "not in the times" if "device" in figures else "a part of the times"
        lines.append(f"- host, {part}: {', '.join(figures['host']['parts'])}")
    if figures["shortfalls"]:
        lines.append(f"- less than MLPerf asks: {', '.join(figures['shortfalls'])}")
    return "\n".join([*lines, ""])


def _mlperf_conf(reference: Path | None) -> str:
    if reference is not None and (reference / "mlperf.conf").is_file():
        return (reference / "mlperf.conf").read_text()
    return "# MLPerf's settings are compiled into the LoadGen that was used; see README.md.\n"


def _calibration(network: Artifact, said: dict[str, Any]) -> str:
    manifest = network.manifest
    source = manifest.input
    outputs = "; ".join(
        f"output: scale {each.scale!r}, zero point {each.zero_point}" for each in manifest.outputs
    )
    preprocessing = "" if manifest.preprocessing is None else manifest.preprocessing.name
    return f"""# Quantization and calibration

Network: {manifest.model}, from the float32 weights `{said[system.MEASUREMENT]}`, quantized after
training with {manifest.framework}. No retraining.

- Batch normalization is folded into the weights and biases of the convolution before it.
- Weights are int8, symmetric (zero point 0), with one scale per output channel.
- Activations are int8, with one scale and zero point per tensor. The range is the one with the
  least squared error on the histogram of the values that the calibration photographs produce.
- Biases are int32, with the scale of input times weight.
- The photographs are those of the calibration list given to `dna quantize`; they are preprocessed
  as "{preprocessing}", as for inference.
- Input: scale {source.scale!r}, zero point {source.zero_point}; {outputs}.
"""


_README = """# open DNA

The source of the benchmark's code: the machine (`hw`), the compiler (`sw`), the models of the
machine (`sim`), LoadGen's system under test and everything else (`harness`).
"""


def _text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def _json(path: Path, fields: dict[str, Any]) -> None:
    _text(path, json.dumps(fields, indent=2) + "\n")
