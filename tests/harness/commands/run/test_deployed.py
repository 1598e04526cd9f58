import numpy as np
from click.testing import CliRunner

from harness.cli import dna
from sim.runtime import Runtime
from sw.errors import DnaError
from tests.support.tiny import save_artifact

IMAGES = np.random.default_rng(5).normal(0, 60, (3, 224, 224, 3)).astype(np.float32)


def test_logits_of_an_array(tmp_path):
    folder = save_artifact(tmp_path / "tiny")
    expected = Runtime.load(folder).run(IMAGES)
    for name, images, logits in (("all", IMAGES, expected), ("one", IMAGES[1], expected[1])):
        np.save(tmp_path / f"{name}.npy", images)
        output = tmp_path / f"{name}.logits"
        arguments = [str(folder), str(tmp_path / f"{name}.npy"), "-o", str(output)]
        done = CliRunner().invoke(dna, ["deployed", *arguments])
        assert done.exit_code == 0, done.output
        assert np.array_equal(np.load(output), logits)
        classes = [int(line.split()[1]) for line in done.output.splitlines()]
        assert classes == np.atleast_2d(logits).argmax(axis=1).tolist()
        assert done.output.splitlines()[0].endswith(f"thing {classes[0]}")


def test_bad_input(tmp_path):
    folder = save_artifact(tmp_path / "tiny")
    (tmp_path / "no.npy").write_text("no array")
    (tmp_path / "empty.npy").touch()
    np.savez(tmp_path / "several.npy", IMAGES[0])
    (tmp_path / "several.npy.npz").rename(tmp_path / "several.npy")
    (tmp_path / "cut.npy").write_bytes((tmp_path / "several.npy").read_bytes()[:99])
    np.save(tmp_path / "huge.npy", IMAGES[0])
    header = (tmp_path / "huge.npy").read_bytes()[:128]
    (tmp_path / "huge.npy").write_bytes(header.replace(b"(224, 224, 3)", b"(99999999999)"))
    np.save(tmp_path / "small.npy", IMAGES[:, :9])
    names = ("no", "absent", "empty", "several", "cut", "huge")
    for name, message in (*((name, "cannot read") for name in names), ("small", "takes")):
        output = tmp_path / "logits.npy"
        arguments = [str(folder), str(tmp_path / f"{name}.npy"), "-o", str(output)]
        done = CliRunner().invoke(dna, ["deployed", *arguments])
        assert isinstance(done.exception, DnaError)
        assert message in str(done.exception)
        assert not output.exists()
