"""Which of the reference's data sets fits, and what is said where it cannot be used."""

import sys
import types

import pytest

from harness.mlperf import data_set
from sw.errors import DnaError
from tests import skips


def test_the_other_data_set_is_refused():
    assert data_set.fitting("caffe", None) == "imagenet"
    assert data_set.fitting("mlperf", "imagenet") == "imagenet"
    with pytest.raises(DnaError, match="--dataset imagenet: these weights need imagenet_pytorch"):
        data_set.fitting("torchvision", "imagenet")


def _torchvision(monkeypatch, tmp_path, content):
    """A torchvision whose ``transforms/functional.py`` is ``content``; None: there is none."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        monkeypatch.delitem(sys.modules, name)
    if content is None:
        monkeypatch.setitem(sys.modules, "torchvision", None)
        return
    (tmp_path / "torchvision" / "transforms").mkdir(parents=True)
    for place in ("", "transforms/"):
        (tmp_path / "torchvision" / place / "__init__.py").touch()
    (tmp_path / "torchvision" / "transforms" / "functional.py").write_text(content)
    monkeypatch.syspath_prepend(tmp_path)


@skips.needs_torch
@pytest.mark.parametrize(
    ("content", "what"),
    [
        (None, "which is missing; with torch "),
        (
            "raise RuntimeError('operator torchvision::nms does not exist\\nmore')",
            "which does not fit: operator torchvision::nms does not exist more; with torch ",
        ),
        (
            "raise ImportError('libtorch_cuda.so: cannot open shared object file')",
            "which does not fit: libtorch_cuda.so: cannot open shared object file; with torch ",
        ),
        ("import no_such_module", "which does not work here: No module named 'no_such_module'"),
    ],
)
def test_a_torchvision_that_cannot_be_used_is_one_line(monkeypatch, tmp_path, content, what):
    import torch

    _torchvision(monkeypatch, tmp_path, content)
    with pytest.raises(DnaError) as caught:
        data_set.fitting("torchvision", None)
    message = str(caught.value)
    assert what in message and "\n" not in message
    minor = int(torch.__version__.split(".")[1])
    assert f"with torch {torch.__version__} goes torchvision 0.{minor + 15}" in message


@skips.needs_torch
def test_one_that_works_is_taken(monkeypatch, tmp_path):
    _torchvision(monkeypatch, tmp_path, "")
    assert data_set.fitting("torchvision", None) == "imagenet_pytorch"


@skips.needs_torch
@pytest.mark.parametrize(
    ("torch_version", "goes"),
    [
        ("2.13.0+cpu", "torchvision 0.28 in its build +cpu, from where that torch is"),
        ("2.13.0", "torchvision 0.28"),
        ("2.0.1+cu118", "torchvision 0.15 in its build +cu118, from where that torch is"),
        ("3.0.0", "the torchvision that was released with it"),
    ],
)
def test_the_version_that_fits(monkeypatch, tmp_path, torch_version, goes):
    _torchvision(monkeypatch, tmp_path, None)
    monkeypatch.setitem(sys.modules, "torch", types.SimpleNamespace(__version__=torch_version))
    with pytest.raises(DnaError) as caught:
        data_set.fitting("torchvision", None)
    assert str(caught.value).endswith(f"with torch {torch_version} goes {goes}")


@pytest.mark.parametrize(
    ("rate", "about"), [(100, "about 4 minutes"), (1000, "about 25 s"), (1, "about 410 minutes")]
)
def test_how_long_offline_takes(rate, about):
    remark = data_set.offline_remark(rate)
    assert about in remark and "--count N beside --time sends N" in remark and "24,576" in remark
