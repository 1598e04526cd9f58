"""Rows of what moves values and changes none."""

from __future__ import annotations

from sw.operations import Concatenation, Interleave, ResizeNearest, Slice
from sw.operators import constraints, shapes
from sw.operators.row import Operator, Spelling

CONCATENATION = Operator(
    name="concatenation",
    operation=Concatenation,
    accepts="of rows, columns or channels, with one scale and zero point",
    graph="the same",
    machine="POOL copies; of channels, where parts in front do not fill words, a convolution "
    "behind that",
    spelling={
        "tflite": Spelling(names=("CONCATENATION",)),
        "onnx": Spelling(
            names=("Concat",), note="parts quantized as the result is, else functions do it"
        ),
        "pytorch": Spelling(names=("aten.cat.default",), note="along the channels"),
    },
    operands=0,
    constraints=(constraints.JOINABLE,),
    shape=shapes.joined,
    keeps_quantization=True,
)

SLICE = Operator(
    name="slice",
    operation=Slice,
    accepts="some rows, columns or channels, one behind the other",
    graph="the same",
    machine="POOL copies; of channels, where it does not begin with a word, a convolution",
    spelling={
        "tflite": Spelling(
            names=("SLICE", "STRIDED_SLICE", "SPLIT"),
            note="step 1; of shapes any; a part of SPLIT is a SLICE",
            instead_of={"SPLIT_V": "SPLIT"},
        ),
        "onnx": Spelling(names=("Slice", "Split"), note="step 1"),
        "pytorch": Spelling(
            names=("aten.slice.Tensor",),
            note="step 1; aten.chunk and aten.split are one for each part",
        ),
    },
    constraints=(constraints.CHANNELS_THERE,),
    shape=shapes.sliced,
    keeps_quantization=True,
)

RESIZE_NEAREST = Operator(
    name="nearest resize",
    operation=ResizeNearest,
    accepts="by whole factors",
    graph="the same",
    machine="POOL copies, once for each row and column of the factor",
    spelling={
        "tflite": Spelling(
            names=("RESIZE_NEAREST_NEIGHBOR",),
            note="no aligned corners",
            instead_of={"RESIZE_BICUBIC": "RESIZE_BILINEAR"},
        ),
        "onnx": Spelling(
            names=("Resize (nearest)",),
            note="half_pixel with round_prefer_floor, or asymmetric with floor",
            instead_of={"Resize (cubic)": "Resize of mode linear", "Upsample": "Resize"},
        ),
        "pytorch": Spelling(names=("aten.upsample_nearest2d.vec",)),
    },
    constraints=(constraints.SPATIAL, constraints.FACTOR),
    shape=shapes.repeated,
    keeps_quantization=True,
)

INTERLEAVING = Operator(
    name="interleaving",
    operation=Interleave,
    accepts="channels as pixels between pixels",
    graph="a slice for each place of a pixel, and these in turns",
    machine="POOL copies, once for each place of a pixel",
    spelling={
        "tflite": Spelling(
            names=("DEPTH_TO_SPACE",), instead_of={"SPACE_TO_DEPTH": "CONV_2D with a stride"}
        ),
        "onnx": Spelling(names=("DepthToSpace",), instead_of={"SpaceToDepth": "Conv"}),
        "pytorch": Spelling(
            names=("aten.pixel_shuffle.default",),
            instead_of={"aten.pixel_unshuffle.default": "aten.conv2d with a stride"},
        ),
    },
    operands=0,
    constraints=(constraints.SPATIAL, constraints.FACTOR, constraints.IN_TURNS),
    shape=shapes.repeated,
    keeps_quantization=True,
)

RESIZE_BILINEAR = Operator(
    name="bilinear resize",
    accepts="by 2 or 4 in both directions, by other powers of two where the weights fit; of one "
    "pixel any",
    graph="a nearest resize, the pixels of the edges around it, and a depthwise convolution",
    machine="what those are",
    spelling={
        "tflite": Spelling(
            names=("RESIZE_BILINEAR",), note="half pixels or not, and aligned corners"
        ),
        "onnx": Spelling(
            names=("Resize (linear)",), note="half_pixel, asymmetric or align_corners; QDQ"
        ),
        "pytorch": Spelling(names=("aten.upsample_bilinear2d.vec",), note="aligned corners or not"),
    },
    keeps_quantization=True,
)
