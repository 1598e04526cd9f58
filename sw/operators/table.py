"""The rows. Their order is that of the page and of messages."""

from __future__ import annotations

from hw.isa import FORMATS, Opcode
from sw.operations import (
    AveragePool2D,
    Conv2D,
    DepthwiseConv2D,
    FullyConnected,
    MaxPool2D,
    Mean,
)
from sw.operators import constraints, shapes
from sw.operators.elementwise import (
    ADDITION,
    EXTREMUM,
    FUNCTION,
    MULTIPLICATION,
    PARAMETRIC,
)
from sw.operators.moves import (
    CONCATENATION,
    INTERLEAVING,
    RESIZE_BILINEAR,
    RESIZE_NEAREST,
    SLICE,
)
from sw.operators.row import Operator, Spelling

_CONV = {field.name: field.range[1] for field in FORMATS[Opcode.CONV].fields}
_KERNELS = (
    f"strides to {_CONV['stride']}, kernels to {_CONV['kernel_height']} x {_CONV['kernel_width']}, "
    "larger ones where there is one window only"
)
_FUSED_ONNX = "Relu or Clip to 0..6 right behind Conv, Gemm, Add or a pooling"

CONVOLUTION = Operator(
    name="convolution",
    operation=Conv2D,
    accepts=f"{_KERNELS}, any padding, any channels",
    graph="the same",
    machine="as it is",
    spelling={
        "tflite": Spelling(
            names=("CONV_2D",),
            note="SAME and VALID; a dilated one has zeros between its weights",
            instead_of={"CONV_3D": "CONV_2D"},
        ),
        "onnx": Spelling(
            names=("Conv", "QLinearConv"),
            note="explicit pads; dilated as in TFLite; once for each quantization of the result",
            instead_of={"ConvInteger": "QLinearConv"},
        ),
        "pytorch": Spelling(
            names=("aten.conv2d.default",),
            note="batch normalization behind it is folded",
            instead_of={"aten.conv2d.padding": "padding in numbers"},
        ),
    },
    constraints=(
        constraints.SPATIAL,
        constraints.DENSE_WEIGHTS,
        constraints.KERNEL,
        constraints.WINDOW,
    ),
    shape=shapes.convolved,
    takes_activation=True,
)

DEPTHWISE = Operator(
    name="depthwise convolution",
    operation=DepthwiseConv2D,
    accepts="as a convolution, any multiplier",
    graph="the same",
    machine="DEPTHWISE; without that engine, or where it does not fit, a convolution whose weights "
    "are zero off the diagonal",
    spelling={
        "tflite": Spelling(
            names=("DEPTHWISE_CONV_2D",),
        ),
        "onnx": Spelling(
            names=("Conv (group = channels)", "QLinearConv (group = channels)"),
        ),
        "pytorch": Spelling(
            names=("aten.conv2d.default (groups = channels)",),
        ),
    },
    constraints=(
        constraints.SPATIAL,
        constraints.DEPTHWISE_WEIGHTS,
        constraints.KERNEL,
        constraints.WINDOW,
    ),
    shape=shapes.convolved,
    takes_activation=True,
)

GROUPED = Operator(
    name="grouped convolution",
    accepts="as a convolution, of any groups",
    graph="where groups have whole words of channels, slices, a convolution each, and their "
    "concatenation; else a convolution with zeros for the channels of other groups",
    machine="what those are",
    spelling={
        "tflite": Spelling(names=("CONV_2D (groups)",), note="weights for fewer channels"),
        "onnx": Spelling(names=("Conv (groups)", "QLinearConv (groups)")),
        "pytorch": Spelling(names=("aten.conv2d (groups)",)),
    },
    takes_activation=True,
)

TRANSPOSED = Operator(
    name="transposed convolution",
    accepts="any stride, kernel and padding, without groups or dilation",
    graph="a convolution for each of the places that a stride has, and their results in turns",
    machine="what those are",
    spelling={
        "tflite": Spelling(names=("TRANSPOSE_CONV",), note="SAME and VALID"),
        "onnx": Spelling(names=("ConvTranspose",), note="explicit pads"),
        "pytorch": Spelling(names=("aten.conv_transpose2d.input",)),
    },
    takes_activation=True,
)

FULLY_CONNECTED = Operator(
    name="fully connected",
    operation=FullyConnected,
    accepts="with and without bias",
    graph="the same",
    machine="a convolution over the whole map; a map of more than "
    f"{_CONV['kernel_height']} rows or columns is read as one flat pixel",
    spelling={
        "tflite": Spelling(
            names=("FULLY_CONNECTED",), instead_of={"BATCH_MATMUL": "FULLY_CONNECTED"}
        ),
        "onnx": Spelling(
            names=("Gemm", "MatMul", "QGemm", "QLinearMatMul"),
            instead_of={"MatMulInteger": "QLinearMatMul"},
        ),
        "pytorch": Spelling(
            names=("aten.linear.default",),
            instead_of={"aten.matmul.default": "aten.linear"},
        ),
    },
    constraints=(constraints.MATRIX,),
    shape=shapes.classes,
    takes_activation=True,
)

MAX_POOL = Operator(
    name="max-pool",
    operation=MaxPool2D,
    accepts="any stride and padding",
    graph="the same",
    machine="as it is; with two different strides a row at a time",
    spelling={
        "tflite": Spelling(
            names=("MAX_POOL_2D",), instead_of={"REDUCE_MAX": "MAX_POOL_2D over the whole map"}
        ),
        "onnx": Spelling(
            names=("MaxPool",),
            note="one output, explicit pads, no dilation",
            instead_of={
                "GlobalMaxPool": "MaxPool over the whole map",
                "ReduceMax": "MaxPool over the whole map",
            },
        ),
        "pytorch": Spelling(
            names=("aten.max_pool2d.default",),
            instead_of={
                "aten.adaptive_max_pool2d.default": "aten.max_pool2d",
                "aten.amax.default": "aten.max_pool2d over the whole map",
            },
        ),
    },
    constraints=(constraints.SPATIAL, constraints.WINDOW),
    shape=shapes.pooled,
    keeps_quantization=True,
    takes_activation=True,
)

AVERAGE_POOL = Operator(
    name="average-pool",
    operation=AveragePool2D,
    accepts="the average of what lies inside the map",
    graph="the same, halves away from zero; where padding counts, and in ONNX without padding, "
    "a depthwise convolution of ones",
    machine="a MEAN instruction for each window, or one for the whole map",
    spelling={
        "tflite": Spelling(
            names=("AVERAGE_POOL_2D",), instead_of={"L2_POOL_2D": "AVERAGE_POOL_2D"}
        ),
        "onnx": Spelling(
            names=("AveragePool", "QLinearAveragePool"),
            note="with padding that does not count, one scale for input and output",
            instead_of={"LpPool": "AveragePool"},
        ),
        "pytorch": Spelling(names=("aten.avg_pool2d.default",)),
    },
    constraints=(
        constraints.SPATIAL,
        constraints.WINDOW,
        constraints.SEES_INPUT,
        constraints.EXACT_AVERAGE,
    ),
    shape=shapes.pooled,
    keeps_quantization=True,
    takes_activation=True,
)

MEAN = Operator(
    name="mean",
    operation=Mean,
    accepts="over height, width or both",
    graph="the same",
    machine="as it is; over one of them a MEAN instruction for each pixel",
    spelling={
        "tflite": Spelling(names=("MEAN",), instead_of={"SUM": "MEAN over height and width"}),
        "onnx": Spelling(
            names=("GlobalAveragePool", "ReduceMean", "QLinearGlobalAveragePool"),
            instead_of={"ReduceSum": "GlobalAveragePool"},
        ),
        "pytorch": Spelling(
            names=("aten.mean.dim", "aten.adaptive_avg_pool2d.default"),
            instead_of={"aten.sum.dim_IntList": "aten.mean over height and width"},
        ),
    },
    constraints=(constraints.SPATIAL, constraints.AXES),
    shape=shapes.channels,
)

PADDING = Operator(
    name="padding",
    accepts="height and width, with zeros or another constant; in TFLite channels too",
    graph="an identity convolution with padding; in TFLite padding of the convolutions behind it, "
    "or of a max-pool whose input is at least its zero point, where it can be; of channels a "
    "convolution; with another constant than the zero point rows and columns of it, joined",
    machine="padding of the next convolution, or what those are",
    spelling={
        "tflite": Spelling(
            names=("PAD", "PADV2"),
            instead_of={"MIRROR_PAD": "PAD"},
        ),
        "onnx": Spelling(names=("Pad",), note="mode constant"),
        "pytorch": Spelling(names=("aten.pad.default",), note="mode constant"),
    },
    keeps_quantization=True,
)

ACTIVATION = Operator(
    name="activation",
    accepts="ReLU and ReLU6, behind what takes one",
    graph="bounds of the operation; behind a pooling an identity convolution with bounds, where "
    "the input can exceed them",
    machine="bounds",
    spelling={
        "tflite": Spelling(
            names=("RELU (fused)", "RELU6 (fused)"),
        ),
        "onnx": Spelling(
            names=("Relu", "Clip"),
            note="Clip to 0..6; between quantizations of their own a function",
            instead_of={"ThresholdedRelu": _FUSED_ONNX},
        ),
        "pytorch": Spelling(
            names=(
                *("aten.relu.default", "aten.relu_.default"),
                *("aten.relu6.default", "aten.relu6_.default"),
                *("aten.hardtanh.default", "aten.hardtanh_.default"),
                *("aten.clamp.default", "aten.clamp_.default"),
            ),
            note="bounds 0 and 6; other bounds, and elsewhere, a function",
        ),
    },
)

VIEW = Operator(
    name="view",
    accepts="what flattens a map, or changes no order",
    graph="nothing to do",
    machine="nothing to do",
    spelling={
        "tflite": Spelling(
            names=("RESHAPE", "SQUEEZE", "EXPAND_DIMS", "TRANSPOSE"),
            note="of the input any; TRANSPOSE of the input and at the end by the host, elsewhere "
            "where it moves nothing or is undone",
        ),
        "onnx": Spelling(
            names=(
                *("Flatten", "Reshape", "Squeeze", "Unsqueeze", "Transpose"),
                *("Identity", "Dropout"),
            ),
            note="Transpose between channels first and last, around the network or in front of "
            "Flatten; dropout outside training",
        ),
        "pytorch": Spelling(
            names=(
                *("aten.flatten.using_ints", "aten.view.default", "aten.reshape.default"),
                "aten.dropout.default",
            ),
            note="dropout outside training",
            instead_of={"aten.permute.default": "aten.flatten"},
        ),
    },
    keeps_quantization=True,
)

EDGE = Operator(
    name="quantization",
    accepts="int8, and uint8 is int8 with 128 less; one scale for an activation",
    graph="scales and zero points of tensors",
    machine="none: the host's, at the edges; within the network a table",
    spelling={
        "tflite": Spelling(
            names=("QUANTIZE", "DEQUANTIZE"), note="at the edges; INT8 to INT8 a table"
        ),
        "onnx": Spelling(names=("QuantizeLinear", "DequantizeLinear")),
        "pytorch": Spelling(
            names=(
                "quantized_decomposed.quantize_per_tensor.default",
                "quantized_decomposed.dequantize_per_tensor.default",
                "quantized_decomposed.dequantize_per_channel.default",
            ),
            note="what PT2E puts in",
        ),
    },
    keeps_quantization=True,
)

SOFTMAX = Operator(
    name="softmax",
    accepts="behind the logits",
    graph="left out",
    machine="none: the host's",
    spelling={
        "tflite": Spelling(names=("SOFTMAX", "LOG_SOFTMAX", "ARG_MAX")),
        "onnx": Spelling(
            names=(
                *("Softmax", "QLinearSoftmax", "LogSoftmax", "Sigmoid", "QLinearSigmoid"),
                "ArgMax",
            ),
        ),
        "pytorch": Spelling(
            names=("aten.softmax.int",), instead_of={"aten.log_softmax.int": "aten.softmax"}
        ),
    },
)

SHAPES = Operator(
    name="shape arithmetic",
    accepts="in front of a view",
    graph="left out: shapes are fixed",
    machine="none",
    spelling={
        "tflite": Spelling(names=("SHAPE", "PACK"), note="and STRIDED_SLICE"),
        "onnx": Spelling(
            names=("Constant",),
            note="what exporters compute from shapes is folded by ONNX Runtime's preprocessing",
            instead_of=dict.fromkeys(
                ("Shape", "Gather", "Cast"),
                "constants; run onnxruntime.quantization.preprocess first",
            ),
        ),
        "pytorch": Spelling(absent="export has fixed the shapes, so nothing computes them"),
    },
)

TABLE: tuple[Operator, ...] = (
    *(CONVOLUTION, DEPTHWISE, GROUPED, TRANSPOSED, FULLY_CONNECTED),
    *(ADDITION, MULTIPLICATION, EXTREMUM),
    *(FUNCTION, PARAMETRIC),
    *(CONCATENATION, SLICE, RESIZE_NEAREST, INTERLEAVING, RESIZE_BILINEAR),
    *(MAX_POOL, AVERAGE_POOL, MEAN),
    *(PADDING, ACTIVATION, VIEW, EDGE, SOFTMAX, SHAPES),
)
