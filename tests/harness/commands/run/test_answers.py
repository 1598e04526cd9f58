"""Networks as people have them: a background, logits of any rank, maps, small inputs, arrays."""

import json
import shutil
import subprocess

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from harness.cli import dna
from harness.loadgen import logs
from sim.runtime import Runtime
from sw.errors import DnaError
from tests.support.loadgen_runs import COMMAND, environment
from tests.support.tflite_models import Maker

COUNT = 12


def model(path, shape, classes, head):
    """Random weights; the logits come from a matrix, a 1x1 convolution, or are a map."""
    net = Maker(np.random.default_rng(4))
    x = net.conv(net.input((1, *shape)), 8, (3, 3), (2, 2))
    if head == "matrix":
        x = net.softmax(net.fully_connected(net.mean(x, keep=False), classes))
    elif head == "convolution":
        x = net.conv(net.mean(x, keep=True), classes, (1, 1))
    else:
        x = net.conv(x, classes, (1, 1))
    path.write_bytes(net.finish(net.dequantize(x)))
    return path


def run(*arguments):
    return CliRunner().invoke(dna, [str(argument) for argument in arguments])


def imported(tmp_path, shape, classes, head, *options):
    path, output = model(tmp_path / "net.tflite", shape, classes, head), tmp_path / "net.dna"
    done = run("import", path, "-o", output, *options)
    assert done.exit_code == 0, done.output or done.exception
    return output, done.output


def arrays(folder, shape, label_of, count=COUNT):
    """A data set of ``.npy`` files; ``label_of`` an int8 array is its label."""
    folder.mkdir()
    rng, lines = np.random.default_rng(7), []
    for number in range(count):
        array = rng.integers(-128, 128, shape, dtype=np.int8)
        np.save(folder / f"{number}.npy", array)
        lines.append(f"{number}.npy {label_of(array)}\n")
    (folder / "val_map.txt").write_text("".join(lines))
    return folder


def loadgen(tmp_path, artifact, data_dir, *options):
    """Figures of a run, and what it printed."""
    shutil.rmtree(tmp_path / "log", ignore_errors=True)
    given = ("--scenario", "Offline", "--data-dir", data_dir, "--json", "figures.json")
    done = subprocess.run(
        [*COMMAND, artifact, *given, "-o", "log", *options],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads((tmp_path / "figures.json").read_text()), done.stdout


@pytest.mark.parametrize("head", ["matrix", "convolution"])
@pytest.mark.parametrize("options", [(), ("--class-offset", "1"), ("--labels", "with"), ("both",)])
def test_a_background_is_counted_out_everywhere(tmp_path, head, options):
    """1001 logits: what MLPerf's reference gets from ``argmax - 1`` are the answers."""
    names = [f"thing {number}" for number in range(1000)]
    (tmp_path / "with").write_text("\n".join(["background", *names]))
    (tmp_path / "without").write_text("\n".join(names))
    if options == ("both",):
        options = ("--class-offset", "1", "--labels", "without")
    options = [tmp_path / word if word.startswith("with") else word for word in options]
    output, said = imported(tmp_path, (16, 16, 3), 1001, head, *options)
    assert "Class offset 1: logit 0 is background, class 0 is logit 1 of 1001." in said
    assert ("If not: --class-offset 0" in said) == (not options)

    runtime = Runtime.load(output)

    def expected(array):
        return int(runtime.run(array[None]).reshape(-1).argmax()) - 1

    # The class of each array is its label; so an accuracy of 1 is that of the right offset.
    data = arrays(tmp_path / "data", (16, 16, 3), lambda array: max(expected(array), 0))
    figures, printed = loadgen(tmp_path, output, data, "--accuracy")
    answers = logs.answers(tmp_path / "log")
    classes = [expected(np.load(data / f"{number}.npy")) for number in range(COUNT)]
    assert [answers[number] for number in range(COUNT)] == classes
    assert figures["top1"] == sum(number >= 0 for number in classes) / COUNT > 0.5
    assert figures["class_offset"] == 1
    assert "Class offset 1" in printed and "guessing" not in printed

    seen = run("run", output, data / "0.npy", "--top", 1, "--json", tmp_path / "seen.json")
    (found,) = json.loads((tmp_path / "seen.json").read_text())["images"][0]["classes"]
    word = "thing" if (options and options[0] == "--labels") or len(options) > 2 else "class"
    assert (found["index"], found["name"]) == (classes[0], f"{word} {classes[0]}")
    assert "Class offset 1" in seen.output

    deployed = run("deployed", output, data / "0.npy", "-o", tmp_path / "y.npy")
    assert deployed.output.splitlines()[0] == f"0 {classes[0]} {word} {classes[0]}"
    assert np.load(tmp_path / "y.npy").shape == (1001,)


def test_1001_classes_whose_first_is_none_are_pointed_out(tmp_path):
    (tmp_path / "labels").write_text("\n".join(f"thing {number}" for number in range(1001)))
    options = ("--labels", tmp_path / "labels")
    output, said = imported(tmp_path, (16, 16, 3), 1001, "matrix", *options)
    assert "1001 logits and no class offset known" in said
    data = arrays(tmp_path / "data", (16, 16, 3), lambda array: 1000)
    figures, printed = loadgen(tmp_path, output, data, "--accuracy")
    assert "1001 logits and no class offset known" in printed
    assert "no better than guessing among 1001 classes" in printed
    assert len(figures["remarks"]) == 2
    output, said = imported(tmp_path, (16, 16, 3), 1001, "matrix", *options, "--class-offset", 0)
    assert "offset" not in said


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (4, "4 class names for 5 logits; if the first logit is a background"),
        (6, "6 class names for 5 logits"),
    ],
)
def test_a_wrong_number_of_labels(tmp_path, labels, words):
    (tmp_path / "labels").write_text("\n".join(f"thing {number}" for number in range(labels)))
    path = model(tmp_path / "net.tflite", (16, 16, 3), 5, "matrix")
    done = run("import", path, "-o", tmp_path / "x", "--labels", tmp_path / "labels")
    assert isinstance(done.exception, DnaError)
    assert words in str(done.exception)
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("shape", [(16, 16, 3), (49, 10, 1), (20, 33, 2)])
@pytest.mark.parametrize("head", ["matrix", "convolution"])
def test_any_input_and_any_number_of_classes(tmp_path, shape, head):
    output, _ = imported(tmp_path, shape, 7, head)
    runtime = Runtime.load(output)
    data = arrays(tmp_path / "data", shape, lambda array: int(runtime.run(array[None])[0].argmax()))
    figures, _ = loadgen(tmp_path, output, data, "--accuracy")
    assert figures["top1"] == 1
    assert figures["remarks"] == []
    seen = run("run", output, data / "0.npy")
    assert seen.exit_code == 0 and seen.output.count("class ") == 5
    loadgen(tmp_path, output, data, "--min-duration", "0.2")
    batch = np.stack([np.load(data / f"{number}.npy") for number in range(3)])
    np.save(tmp_path / "batch.npy", batch)
    deployed = run("deployed", output, tmp_path / "batch.npy", "-o", tmp_path / "y.npy")
    assert len(deployed.output.splitlines()) == 3
    assert np.load(tmp_path / "y.npy").shape == (3, 7)


def test_photographs_for_a_small_network(tmp_path):
    output, _ = imported(tmp_path, (48, 48, 3), 7, "matrix", "--preprocessing", "mobilenet")
    (tmp_path / "data").mkdir()
    noise = np.random.default_rng(3).integers(0, 256, (90, 120, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "data" / "a.png")
    (tmp_path / "data" / "val_map.txt").write_text("a.png 3\n")
    figures, _ = loadgen(tmp_path, output, tmp_path / "data", "--accuracy")
    assert figures["images"] == 1
    assert run("run", output, tmp_path / "data" / "a.png").exit_code == 0


def test_labels_that_are_no_classes_are_refused(tmp_path):
    output, _ = imported(tmp_path, (16, 16, 3), 1001, "matrix")
    data = arrays(tmp_path / "data", (16, 16, 3), lambda array: 1000)
    given = ("--scenario", "Offline", "--accuracy", "--data-dir", data)
    done = run("loadgen", output, *given, "-o", tmp_path / "log")
    assert isinstance(done.exception, DnaError)
    assert "line 1 has label 1000, of 1000 classes" in str(done.exception)


def test_a_map_names_no_classes_but_gives_its_values(tmp_path):
    output, said = imported(tmp_path, (16, 16, 3), 7, "map")
    assert "lass offset" not in said
    data = arrays(tmp_path / "data", (16, 16, 3), lambda array: 0)
    for done in (
        run("run", output, data / "0.npy"),
        run("loadgen", output, *("--scenario", "Offline", "--accuracy", "--data-dir", data)),
    ):
        assert isinstance(done.exception, DnaError)
        assert "is a map of shape (8, 8, 7), no row of logits" in str(done.exception)
    deployed = run("deployed", output, data / "0.npy", "-o", tmp_path / "y.npy")
    assert deployed.exit_code == 0
    assert "no row of logits: no classes to name" in deployed.output
    assert np.load(tmp_path / "y.npy").shape == (8, 8, 7)
    figures, _ = loadgen(tmp_path, output, data, "--min-duration", "0.2")
    assert figures["valid"] is True


@pytest.mark.parametrize("options", [("--class-offset", "1"), ("--labels", "labels")])
def test_classes_of_a_map_are_refused(tmp_path, options):
    (tmp_path / "labels").write_text("a\nb\nc\nd\ne\nf\ng\n")
    path = model(tmp_path / "net.tflite", (16, 16, 3), 7, "map")
    options = [tmp_path / word if word == "labels" else word for word in options]
    done = run("import", path, "-o", tmp_path / "x", *options)
    assert isinstance(done.exception, DnaError)
    assert "is a map of shape (8, 8, 7)" in str(done.exception)


def test_a_preprocessing_of_your_own(tmp_path):
    mine = tmp_path / "mine.json"
    mine.write_text('{"resize": "stretch", "channels": "BGR", "divisor": 64, "mean": [2, 2, 2]}')
    output, _ = imported(tmp_path, (16, 16, 3), 7, "matrix", "--preprocessing", mine)
    pixels = np.random.default_rng(3).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    np.save(tmp_path / "a.npy", pixels[..., ::-1].astype(np.float32) / 64 - 2)
    done = run("run", output, tmp_path / "a.png", tmp_path / "a.npy", "--json", tmp_path / "s.json")
    assert done.exit_code == 0
    first, second = json.loads((tmp_path / "s.json").read_text())["images"]
    assert first["classes"] == second["classes"]
    mine.write_text('{"resize": "stretch", "channels": "grey"}')
    refused = run("import", tmp_path / "net.tflite", "-o", output, "--preprocessing", mine)
    assert "takes arrays of shape (16, 16, 3)" in str(refused.exception)
    unknown = run("import", tmp_path / "net.tflite", "-o", output, "--preprocessing", "vgg")
    assert "no preprocessing 'vgg'; there are array, caffe" in str(unknown.exception)
