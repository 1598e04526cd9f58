"""Rows of what computes each value from those at the same place."""

from __future__ import annotations

from sw.operations import Add, Extremum, Lookup, Multiply
from sw.operators import constraints, shapes
from sw.operators.row import Operator, Spelling

ADDITION = Operator(
    name="addition",
    operation=Add,
    accepts="sums and differences of activations; of a map and a pixel too",
    graph="the same",
    machine="in the stream behind the convolution that computes an operand, else behind an "
    "identity",
    spelling={
        "tflite": Spelling(
            names=("ADD", "SUB"),
            note="of a map and one number a function",
            instead_of={"ADD_N": "ADD"},
        ),
        "onnx": Spelling(
            names=("Add", "QLinearAdd", "Sub"),
            note="of a map and one number a function, but for QLinearAdd",
            instead_of={"Sum": "Add"},
        ),
        "pytorch": Spelling(
            names=(
                *("aten.add.Tensor", "aten.add_.Tensor", "aten.sub.Tensor", "aten.sub_.Tensor"),
            ),
        ),
    },
    operands=2,
    constraints=(constraints.ONE_SHAPE,),
    shape=shapes.same,
    takes_activation=True,
)

MULTIPLICATION = Operator(
    name="multiplication",
    operation=Multiply,
    accepts="activations of one shape, or a map and a pixel",
    graph="the same",
    machine="of a value and a function of it a table; else in the stream behind an identity",
    spelling={
        "tflite": Spelling(
            names=("MUL",),
            note="of a map and one number a function, and a number for each channel a depthwise "
            "convolution",
            instead_of={"DIV": "MUL"},
        ),
        "onnx": Spelling(
            names=("Mul", "QLinearMul"),
            note="of two maps, or a map and a pixel; of a map and one number a function, but for "
            "QLinearMul",
            instead_of={"ReduceProd": "Mul"},
        ),
        "pytorch": Spelling(
            names=("aten.mul.Tensor", "aten.mul_.Tensor"), note="of two maps, or a map and a pixel"
        ),
    },
    operands=2,
    constraints=(constraints.ONE_SHAPE,),
    shape=shapes.same,
    takes_activation=True,
)

EXTREMUM = Operator(
    name="extremum",
    operation=Extremum,
    accepts="the larger or the smaller one of two values",
    graph="the same",
    machine="of a value and a function of it a table; else as an addition",
    spelling={
        "tflite": Spelling(
            names=("MAXIMUM", "MINIMUM"),
            note="of a map and one number a function",
        ),
        "onnx": Spelling(
            names=("Max", "Min"),
            note="of two; quantized as the result is, else functions do it; of a map and one "
            "number a function",
        ),
        "pytorch": Spelling(
            names=(
                *("aten.maximum.default", "aten.max.other"),
                *("aten.minimum.default", "aten.min.other"),
            ),
            note="of two maps, or a map and a pixel, which share a scale",
        ),
    },
    operands=2,
    constraints=(constraints.ONE_SHAPE,),
    shape=shapes.same,
    keeps_quantization=True,
)

FUNCTION = Operator(
    name="function",
    operation=Lookup,
    accepts="of each value by itself",
    graph="a table of 256 results, which the runtime gave",
    machine="one table for a chain of them, in the stream behind the convolution or the addition "
    "that computes the value, else behind an identity",
    spelling={
        "tflite": Spelling(
            names=(
                *("LOGISTIC", "TANH", "HARD_SWISH", "LEAKY_RELU", "ELU"),
                *("RELU", "RELU6", "RELU_N1_TO_1", "ABS", "NEG"),
            ),
            note="of other types than INT8 only behind the logits, by the host",
            instead_of={"GELU": "HARD_SWISH", "EXP": "LOGISTIC", "SQRT": "LOGISTIC"},
        ),
        "onnx": Spelling(
            names=(
                *("Sigmoid (of a map)", "QLinearSigmoid (of a map)", "Tanh", "HardSwish"),
                *("HardSigmoid", "LeakyRelu", "QLinearLeakyRelu", "Elu", "Div"),
            ),
            note="ONNX Runtime's results; SiLU is a product with its Sigmoid; Div with one number",
            instead_of={"Gelu": "HardSwish", "Mish": "HardSwish", "Selu": "Elu"},
        ),
        "pytorch": Spelling(
            names=(
                *("aten.sigmoid.default", "aten.tanh.default"),
                *("aten.hardswish.default", "aten.hardswish_.default"),
                *("aten.hardsigmoid.default", "aten.hardsigmoid_.default"),
                *("aten.leaky_relu.default", "aten.leaky_relu_.default"),
                *("aten.silu.default", "aten.silu_.default"),
                *(
                    "aten.elu.default",
                    "aten.elu_.default",
                    "aten.selu.default",
                    "aten.celu.default",
                ),
                *("aten.gelu.default", "aten.mish.default", "aten.softplus.default"),
                *("aten.abs.default", "aten.neg.default"),
            ),
            note="SiLU is a product with its sigmoid, a hard sigmoid relu6(x + 3) / 6; from ELU on "
            "PyTorch's results",
        ),
    },
    shape=shapes.same,
)

PARAMETRIC = Operator(
    name="parametric ReLU",
    accepts="with a slope for each channel",
    graph="a table, a depthwise convolution, and the larger one of their results; where slopes are "
    "above 1, a sum of two convolutions",
    machine="what those are",
    spelling={
        "tflite": Spelling(names=("PRELU",), note="constant slopes"),
        "onnx": Spelling(names=("PRelu",), note="constant slopes"),
        "pytorch": Spelling(names=("aten.prelu.default",), note="slopes are int8 then"),
    },
)
