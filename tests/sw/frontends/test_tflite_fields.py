"""TFLite files that say something that nobody reads, or that does not fit: one line each."""

import dataclasses

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from sw.errors import DnaError
from sw.frontends.tflite.file.packing import packed
from tests.support.tflite_bases import bases
from tests.support.tflite_models import CODE, VALID, Maker
from tests.support.tflite_strict import import_whole
from tests.sweeps.import_sweep import compared


def changed(code, change, number=0):
    """A network around an operator, after ``change`` of its file and of the operator in it."""
    base = bases(code)[number]
    model = base.model()
    change(model, base.operator(model))
    return packed(model)


def tensor(model, index):
    return model.subgraphs[0].tensors[index]


def output_of_padding(model, operator):
    """The padding is in the convolution behind it, and the file ends in front of that."""
    model.subgraphs[0].outputs = operator.outputs


def written_twice(model, operator):
    operator.outputs = model.subgraphs[0].operators[-1].outputs


def writes_the_input(model, operator):
    operator.outputs = model.subgraphs[0].inputs


def no_output(model, operator):
    operator.outputs = np.array([-1], np.int32)


def left_out(model, operator):
    operator.inputs = np.array([operator.inputs[0], -1], np.int32)


def one_more_input(model, operator):
    operator.inputs = np.array([*operator.inputs, operator.inputs[0]], np.int32)


def of_another(model, operator):
    operator.builtinOptionsType = schema.BuiltinOptions.DepthwiseConv2DOptions
    operator.builtinOptions = schema.DepthwiseConv2DOptionsT(0, 1, 1, 1, 0, 1, 1)


def constant(position, *values):
    def change(model, operator):
        held = model.buffers[tensor(model, operator.inputs[position]).buffer]
        held.data = np.frombuffer(np.array(values, np.int32).tobytes(), np.uint8)

    return change


def option(name, value):
    return lambda model, operator: setattr(operator.builtinOptions, name, value)


def of_input(name, value):
    return lambda model, operator: setattr(tensor(model, operator.inputs[0]), name, value)


def with_values(model, operator):
    """An activation of 90 bytes with a buffer of its own."""
    model.buffers.append(schema.BufferT(data=np.zeros(90, np.uint8)))
    tensor(model, operator.outputs[0]).buffer = len(model.buffers) - 1


def of_output(name, value):
    return lambda model, operator: setattr(tensor(model, operator.outputs[0]), name, value)


def of_quantization(name, value):
    return lambda model, operator: setattr(
        tensor(model, operator.outputs[0]).quantization, name, value
    )


def int16_input(model, operator):
    source = tensor(model, operator.inputs[0])
    source.type = schema.TensorType.INT16
    source.quantization = tensor(model, operator.outputs[0]).quantization


@pytest.mark.parametrize(
    ("code", "change", "words"),
    [
        ("ADD", written_twice, "which has values; nearest: a tensor of its own"),
        ("ADD", writes_the_input, "which has values"),
        ("CONV_2D", no_output, "1 outputs"),
        ("RESHAPE", left_out, "input 1 is left out"),
        ("MAX_POOL_2D", one_more_input, "it has an input 1"),
        ("CONV_2D", of_another, "its options are DepthwiseConv2DOptions; nearest: Conv2DOptions"),
        ("MEAN", constant(1, 5, 6), "axes [5, 6]"),
        ("STRIDED_SLICE", constant(1, 1), "(RESHAPE): [1, 6, 5, 3] to [6, 90]"),
        ("RESHAPE", constant(1, 90, 1), "[90, 1]"),
        ("SQUEEZE", option("squeezeDims", np.array([1], np.int32)), "it makes [1, 1, 3]"),
        ("FULLY_CONNECTED", option("quantSpec", [0, 0]), "option quantSpec"),
        ("SOFTMAX", option("beta", -1.0), "beta -1.0"),
        ("SOFTMAX", of_output("type", schema.TensorType.INT32), "it makes INT32 of INT8"),
        ("SOFTMAX", of_quantization("scale", np.zeros(1, np.float32)), "scales [0.0]"),
        ("SOFTMAX", of_quantization("zeroPoint", np.array([-131])), "a zero point of [-131]"),
        ("LOGISTIC", of_quantization("zeroPoint", np.array([-131])), "LOGISTIC: zero point -131"),
        ("ADD", of_quantization("quantizedDimension", 1), "dimension 1"),
        ("ADD", of_input("isVariable", True), "isVariable of Tensor is set"),
        ("ADD", with_values, "which has values"),
        ("ADD", of_input("name", b"caf\xe9"), "the name of tensor 0 is no UTF-8"),
        ("QUANTIZE", int16_input, "INT16 to INT8"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_what_does_not_fit_is_one_line(code, change, words, tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(changed(code, change))
    with pytest.raises(DnaError) as caught:
        import_whole(path)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_padding_that_is_the_output_is_done():
    content = changed("PAD", output_of_padding)
    imported, _, mismatches = compared(content, np.random.default_rng(0))
    assert mismatches == 0
    assert imported.graph.tensors[imported.graph.output].shape == (7, 7, 3)


def test_a_buffer_within_the_file_goes_before_one_behind_it():
    def both(model, operator):
        buffer = model.buffers[tensor(model, operator.inputs[1]).buffer]
        buffer.offset, buffer.size = 64, len(buffer.data)

    _, values, mismatches = compared(changed("CONV_2D", both), np.random.default_rng(0))
    assert values > 0
    assert mismatches == 0


def test_a_buffer_behind_the_file_is_read():
    base = bases("CONV_2D")[0]
    model = base.model()
    held = model.buffers[tensor(model, base.operator(model).inputs[1]).buffer]
    data = held.data.tobytes()
    held.data, held.size, held.offset = None, len(data), 1 << 20
    place = len(packed(model))
    model = base.model()
    held = model.buffers[tensor(model, base.operator(model).inputs[1]).buffer]
    held.data, held.size, held.offset = None, len(data), place
    content = packed(model)
    assert len(content) == place
    _, values, mismatches = compared(content + data, np.random.default_rng(0))
    assert values > 0
    assert mismatches == 0


def test_shapes_that_the_file_computes_are_computed():
    """One element of a shape more to the right is another RESHAPE."""
    net = Maker(np.random.default_rng(3))
    x = net.pool(net.input((1, 4, 6, 3)), CODE.MAX_POOL_2D, (2, 2), (2, 2), VALID)
    y = net.fully_connected(net.flatten(x, True), 4)
    assert compared(net.finish(y), np.random.default_rng(0))[2] == 0
    wrong = dataclasses.replace(y, shape=(4, 1))
    net.tensors[y.index].shape = np.array(wrong.shape, np.int32)
    with pytest.raises(DnaError, match=r"says that its output has shape \[4, 1\], but it is"):
        compared(net.finish(wrong), np.random.default_rng(0))
