"""Checkpoints as people have them: what is found in a file, and what is refused in one line."""

import argparse
import gzip
import pathlib
import struct
import zipfile

import numpy as np
import pytest

from tests import skips

pytest.importorskip("torch", reason=skips.not_installed("quantize"))

import safetensors.torch
import torch

from sw.errors import DnaError
from sw.models import weights
from sw.models.checkpoint import dictionaries

NAMES = ("conv1.weight", "bn1.weight", "layer1.0.conv1.weight", "fc.weight")
VALUES = torch.tensor([1.5, -0.1, 3e38, 2.0**-100])
COUNTER = {"bn1.num_batches_tracked": torch.tensor(7)}


def net(prefix="", values=VALUES):
    """What names a ResNet50, with the names behind ``prefix``."""
    return {f"{prefix}{name}": values for name in NAMES} | {
        f"{prefix}{name}": value for name, value in COUNTER.items()
    }


def save(path, what, **options):
    torch.save(what, path, **options)
    return path


def refused(path):
    with pytest.raises(DnaError) as caught:
        weights.read(path)
    message = str(caught.value)
    assert "\n" not in message and "\x1b" not in message and len(message) < 400 + len(str(path))
    return message


LEGACY = {"_use_new_zipfile_serialization": False}
ARGS = argparse.Namespace(lr=0.1, data=None, device=torch.device("cpu"))
TRAINING = {
    "epoch": 90,
    "arch": "resnet50",
    "best_acc1": torch.tensor(76.1),
    "optimizer": {"state": {0: {"momentum_buffer": torch.zeros(3)}}, "param_groups": [{}]},
    "scheduler": {"last_epoch": 90, "_step_count": np.float64(91)},
    "args": ARGS,
}
"""What training scripts save beside the weights."""

TAKEN = {
    "plain": (net(), None),
    "DataParallel": (net("module."), "taken: the names that begin with 'module.'"),
    "Lightning": (
        {"state_dict": net("model."), "loops": {}, "hyper_parameters": {"lr": 0.1}},
        "taken: the names that begin with 'model.' of 'state_dict'; left out: 'loops', "
        "'hyper_parameters'",
    ),
    "two wrappers of the module": (
        net("_orig_mod.module."),
        "taken: the names that begin with '_orig_mod.module.'",
    ),
    "training script": (
        {"state_dict": net("module."), **TRAINING},
        "taken: the names that begin with 'module.' of 'state_dict'; left out: 'epoch', 'arch', "
        "'best_acc1', 'optimizer', ...",
    ),
    "only the average": (
        {"model_ema": net("module.") | {"n_averaged": torch.tensor(90)}, "epoch": 3},
        "taken: the names that begin with 'module.' of 'model_ema'; left out: 'epoch'",
    ),
    "average of one module": (
        net("ema_model.") | {"initted": torch.tensor([True]), "step": torch.tensor([4])},
        "taken: the names that begin with 'ema_model.'",
    ),
    "nested": (
        {"state": {"model": net()}, "epoch": 3},
        "taken: 'model' in 'state'; left out: 'epoch'",
    ),
    "keys beside the tensors": (
        net() | {"epoch": 3, "arch": "resnet50"},
        "left out: 'epoch', 'arch'",
    ),
    "bfloat16": (net(values=VALUES.bfloat16()), "bfloat16, widened"),
    "float16": (net(values=VALUES.clamp(-9, 9).half()), "float16, widened"),
    "float64": (net(values=VALUES.double()), None),
    "everything": (
        {"ema": net("module.model.", VALUES.bfloat16()), "args": ARGS},
        "taken: the names that begin with 'module.model.' of 'ema'; bfloat16, widened; left out: "
        "'args'",
    ),
}


@pytest.mark.parametrize("options", [{}, LEGACY], ids=["zip", "legacy"])
@pytest.mark.parametrize("suffix", [".pth", ".pt", ".bin", ".pth.tar", ".ckpt", ""])
def test_the_content_says_what_a_file_is(tmp_path, suffix, options):
    found = weights.read(save(tmp_path / f"model_best{suffix}", net(), **options))
    assert set(found.tensors) == set(net()) and found.remark is None


@pytest.mark.parametrize("options", [{}, LEGACY], ids=["zip", "legacy"])
@pytest.mark.parametrize("form", TAKEN)
def test_the_one_resnet50_is_taken_and_said(tmp_path, form, options):
    state, remark = TAKEN[form]
    path = save(tmp_path / "w.pth", state, **options)
    found = weights.read(path)
    assert found.naming.name == "torchvision"
    assert set(found.tensors) == set(net())
    values = next(
        value for name, value in _flat(state).items() if name.endswith("layer1.0.conv1.weight")
    )
    assert np.array_equal(found.tensors["conv1.weight"].read(), values.to(torch.float64).numpy())
    assert found.remark == (remark and f"weights {path}: {remark}")


def _flat(state):
    flat = {}
    for name, value in state.items():
        flat |= _flat(value) if isinstance(value, dict) else {name: value}
    return {str(name): value for name, value in flat.items()}


@pytest.mark.parametrize("form", ["plain", "DataParallel", "bfloat16", "float16", "float64"])
def test_safetensors(tmp_path, form):
    state, remark = TAKEN[form]
    path = tmp_path / "model.bin"
    safetensors.torch.save_file({name: value.clone() for name, value in state.items()}, path)
    found = weights.read(path)
    (value,) = (value for name, value in state.items() if name.endswith("layer1.0.conv1.weight"))
    assert np.array_equal(found.tensors["conv1.weight"].read(), value.to(torch.float64).numpy())
    assert found.remark == (remark and f"weights {path}: {remark}")


def test_every_bfloat16_is_widened_exactly(tmp_path):
    every = torch.arange(-(2**15), 2**15, dtype=torch.int32).to(torch.int16).view(torch.bfloat16)
    expected = every.float().numpy()
    safetensors.torch.save_file({"a": every}, tmp_path / "w.safetensors")
    save(tmp_path / "w.pth", {"a": every})
    for name in ("w.safetensors", "w.pth"):
        (found,) = dictionaries(tmp_path / name)
        got = found.tensors["a"].read()
        assert got.dtype == np.float32
        np.testing.assert_array_equal(got, expected)


def test_other_tensors_of_a_checkpoint_are_never_read(tmp_path):
    beside = {"meta": torch.empty(3, device="meta"), "phase": torch.zeros(1, dtype=torch.complex64)}
    path = save(tmp_path / "w.pth", {"state_dict": net(), "optimizer": beside})
    assert set(weights.read(path).tensors) == set(net())


REFUSED = {
    "the average and the network": (
        {"model": net(), "model_ema": net("module.")},
        "hold 2 ResNet50s: 'model' and the names that begin with 'module.' of 'model_ema'; save "
        "the one that is meant in a file of its own",
    ),
    "the average beside the network": (
        {"state_dict": net() | net("ema.")},
        "hold 2 ResNet50s: 'state_dict' and the names that begin with 'ema.' of 'state_dict'",
    ),
    "two prefixes": (
        net("student.") | net("teacher."),
        "hold 2 ResNet50s: the names that begin with 'student.' and the names that begin with "
        "'teacher.'",
    ),
    "a prefix on some keys": (
        {name if name.startswith("fc") else f"module.{name}": VALUES for name in net()},
        "tensor 'fc.weight' is none of those that begin with 'module.': whether it belongs to the",
    ),
    "a prefix on one key": (
        {f"module.{name}" if name.startswith("conv1") else name: VALUES for name in net()},
        "not a ResNet50: neither 'conv1/kernel' beside 'res2a_...' (keras's names)",
    ),
    "a normalization in front": (
        {"mean": torch.zeros(3), "std": torch.ones(3)} | net("model."),
        "tensor 'mean' is none of those that begin with 'model.'",
    ),
    "a temperature behind": (
        {"logit_scale": torch.tensor(3.0)} | net("visual."),
        "tensor 'logit_scale' is none of those that begin with 'visual.'",
    ),
    "no network": ({"epoch": 3, "optimizer": {"a": torch.zeros(1)}}, "are not a ResNet50"),
    "nothing": ({}, "are not a ResNet50"),
    "other names": (
        {"resnet.embedder.embedder.convolution.weight": VALUES},
        "are not a ResNet50",
    ),
    "a tensor": (torch.zeros(3), "hold a Tensor, not a state dictionary"),
    "a list": ([net()], "hold a list, not a state dictionary"),
    "a whole network": (
        torch.nn.Linear(1, 1),
        "it holds more than tensors (torch.nn.modules.linear.Linear), which could run code; "
        "nearest: a file of tensors, torch.save(model.state_dict(), FILE)",
    ),
    "a whole network in a wrapper": (
        {"model": torch.nn.Linear(1, 1), "epoch": 3},
        "it holds more than tensors (torch.nn.modules.linear.Linear), which could run code",
    ),
    "an object of Python": (
        {"state_dict": net(), "path": pathlib.PurePosixPath("a")},
        "it holds more than tensors (pathlib.PurePosixPath), which could run code",
    ),
}


class _Runs:
    def __reduce__(self):
        return print, ("RUN",)


@pytest.mark.parametrize("options", [{}, LEGACY], ids=["zip", "legacy"])
@pytest.mark.parametrize("form", REFUSED)
def test_what_is_not_clear_is_refused_in_a_line(tmp_path, form, options):
    state, message = REFUSED[form]
    assert message in refused(save(tmp_path / "w.pth", state, **options))


@pytest.mark.parametrize("options", [{}, LEGACY], ids=["zip", "legacy"])
def test_no_code_of_a_file_runs(tmp_path, capsys, options):
    assert "more than tensors (print)" in refused(
        save(tmp_path / "w.pth", {"a": _Runs()}, **options)
    )
    assert "RUN" not in capsys.readouterr().out


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_other_programs_files_are_named(tmp_path):
    path = tmp_path / "model_best.pth.tar"
    torch.jit.save(torch.jit.script(torch.nn.Linear(1, 1)), path)
    assert "it is a program (TorchScript)" in refused(path)
    path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(99))
    assert "the file is HDF5, as Keras writes it" in refused(path)
    path.write_bytes(gzip.compress(b"checkpoint"))
    assert "the file is compressed; unpack it first" in refused(path)
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:12\nsize 12\n")
    assert "the file is a pointer of Git LFS" in refused(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", "{}")
    assert "cannot read weights" in refused(path)
    path.write_bytes(b"")
    assert "the file is empty" in refused(path)
    path.write_bytes(b"hello")
    assert "neither what torch.save writes nor safetensors" in refused(path)
    path.write_bytes(struct.pack("<Q", 1 << 40) + b'{"a": 1}')
    assert "cannot read weights" in refused(path)
    path.unlink()
    assert "do not exist" in refused(path)
    path.mkdir()
    assert "do not exist or are not a file" in refused(path)


@pytest.mark.parametrize("options", [{}, LEGACY], ids=["zip", "legacy"])
def test_a_file_cut_short_is_refused(tmp_path, options):
    path = save(tmp_path / "w.pth", net(values=torch.zeros(1000)), **options)
    content = path.read_bytes()
    for length in (1, 8, 60, len(content) // 2, len(content) - 9):
        path.write_bytes(content[:length])
        assert f"cannot read weights {path}" in refused(path)
