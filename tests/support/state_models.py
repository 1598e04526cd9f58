"""TFLite files that carry maps from call to call, and files of several inputs."""

import dataclasses

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from sw.frontends.tflite.file.packing import opened, packed
from tests.support.tflite_models import CODE, RELU, VALID, Made, Maker

RESOURCE = schema.TensorType.RESOURCE


@dataclasses.dataclass(frozen=True)
class Variable:
    """A variable that was written: its name, its handle, and what it begins with."""

    name: str
    handle: int
    initial: np.ndarray
    like: Made


def plain_operator(model, code, inputs, outputs, options=None):
    """An operator of a ``ModelT``, whose code is added to it if it is new."""
    numbers = [each.builtinCode for each in model.operatorCodes]
    if code not in numbers:
        numbers.append(code)
        small = min(int(code), 127)
        model.operatorCodes.append(
            schema.OperatorCodeT(deprecatedBuiltinCode=small, builtinCode=code, version=1)
        )
    table = "NONE" if options is None else type(options).__name__.removesuffix("T")
    return schema.OperatorT(
        opcodeIndex=numbers.index(code),
        inputs=np.array(inputs, np.int32),
        outputs=np.array(outputs, np.int32),
        builtinOptionsType=getattr(schema.BuiltinOptions, table),
        builtinOptions=options,
    )


class StateMaker(Maker):
    """Writes variables, too."""

    def __init__(self, rng):
        super().__init__(rng)
        self.variables: list[Variable] = []
        self.assigned: list[tuple[int, int]] = []  # place among the operators, and pair of tensors

    def read(self, shape, scale, zero_point) -> tuple[Variable, Made]:
        """A new variable, and what a call reads of it."""
        number = len(self.variables)
        handle = self.tensor(f"handle{number}", (), RESOURCE)
        like = self.made(shape, scale, zero_point)
        initial = self.rng.integers(-128, 128, shape).astype(np.int8)
        variable = Variable(f"stream_{number}/states", handle, initial, like)
        self.variables.append(variable)
        options = schema.VarHandleOptionsT(container="", sharedName=variable.name)
        self.operator(CODE.VAR_HANDLE, [], handle, options)
        self.operator(CODE.READ_VARIABLE, [handle], like.index, schema.ReadVariableOptionsT())
        return variable, like

    def assign(self, variable: Variable, value: Made) -> None:
        """What the next call reads of a variable."""
        self.operator(
            CODE.ASSIGN_VARIABLE,
            [variable.handle, value.index],
            0,
            schema.AssignVariableOptionsT(),
        )
        self.operators[-1].outputs = np.array([], np.int32)

    def file(self, inputs, outputs) -> bytes:
        """The whole file, with the subgraph that CALL_ONCE runs."""
        model = opened(super().file(inputs, outputs))
        if not self.variables:
            return packed(model)
        first, tensors, operators = model.subgraphs[0], [], []
        for number, variable in enumerate(self.variables):
            model.buffers.append(schema.BufferT(data=variable.initial.reshape(-1).view(np.uint8)))
            tensors.append(schema.TensorT(name=f"handle{number}", type=RESOURCE, shape=[]))
            tensors.append(
                schema.TensorT(
                    name=f"initial{number}",
                    type=schema.TensorType.INT8,
                    shape=np.array(variable.initial.shape, np.int32),
                    buffer=len(model.buffers) - 1,
                    quantization=self.quantization(
                        [variable.like.scale], [variable.like.zero_point]
                    ),
                )
            )
            handle, value = len(tensors) - 2, len(tensors) - 1
            options = schema.VarHandleOptionsT(container="", sharedName=variable.name)
            operators += [
                plain_operator(model, CODE.VAR_HANDLE, [], [handle], options),
                plain_operator(
                    model,
                    CODE.ASSIGN_VARIABLE,
                    [handle, value],
                    [],
                    schema.AssignVariableOptionsT(),
                ),
            ]
        model.subgraphs.append(
            schema.SubGraphT(tensors=tensors, inputs=[], outputs=[], operators=operators)
        )
        once = schema.CallOnceOptionsT(initSubgraphIndex=1)
        first.operators.insert(0, plain_operator(model, CODE.CALL_ONCE, [], [], once))
        return packed(model)

    def concatenated(self, a: Made, b: Made, axis: int) -> Made:
        shape = list(a.shape)
        shape[axis] += b.shape[axis]
        y = self.made(shape, a.scale, a.zero_point)
        options = schema.ConcatenationOptionsT(axis=axis)
        self.operator(CODE.CONCATENATION, [a.index, b.index], y.index, options)
        return y

    def rows(self, x: Made, begin: int, count: int) -> Made:
        """Some rows of a map."""
        shape = (1, count, *x.shape[2:])
        y = self.made(shape, x.scale, x.zero_point)
        bounds = [
            self.constant(f"bound{len(self.tensors)}", np.array(each, np.int32))
            for each in ((0, begin, 0, 0), shape)
        ]
        self.operator(CODE.SLICE, [x.index, *bounds], y.index, schema.SliceOptionsT())
        return y

    def streamed(self, x: Made, rows: int) -> Made:
        """A map behind the last ``rows`` rows of the calls before."""
        variable, before = self.read((1, rows, *x.shape[2:]), x.scale, x.zero_point)
        y = self.concatenated(before, x, 1)
        self.assign(variable, self.rows(y, y.shape[1] - rows, rows))
        return y


def spotter(seed: int = 0) -> bytes:
    """A keyword spotter: convolutions over rows of this call and of those before."""
    rng = np.random.default_rng(seed)
    net = StateMaker(rng)
    bands = int(rng.integers(3, 12))
    step = int(rng.integers(1, 4))
    x = net.streamed(net.input((1, step, 1, bands)), int(rng.integers(1, 4)))
    x = net.conv(x, int(rng.integers(3, 9)), (x.shape[1], 1), mode=VALID, act=RELU)
    for _ in range(int(rng.integers(1, 3))):
        x = net.streamed(x, int(rng.integers(2, 18)))
        x = net.depthwise(x, 1, (x.shape[1], 1), mode=VALID)
        x = net.conv(x, int(rng.integers(3, 9)), (1, 1), act=RELU)
    y = net.fully_connected(x, 3)
    return net.file([net.source.index], [y.index])


def accumulator(seed: int = 0) -> bytes:
    """Its answer is what it carries, whole: the sum of the calls so far, decaying."""
    net = StateMaker(np.random.default_rng(seed))
    x = net.conv(net.input((1, 4, 4, 5)), 6, (3, 3))
    variable, before = net.read(x.shape, 0.5, 3)
    y = net.made(x.shape, 0.5, 3)
    net.operator(CODE.ADD, [before.index, x.index], y.index, schema.AddOptionsT())
    net.assign(variable, y)
    return net.file([net.source.index], [y.index])


def two_inputs(seed: int = 0) -> bytes:
    """A map and a row of numbers; a float one has QUANTIZE behind it."""
    rng = np.random.default_rng(seed)
    net = StateMaker(rng)
    x = net.conv(net.input((1, 6, 6, 3)), 8, (3, 3), act=RELU)
    source = net.source
    z = net.input((1, 6, 6, 8), ("int8", "float32", "uint8")[seed % 3])
    y = net.made(x.shape, 0.1, -3)
    net.operator(CODE.ADD, [x.index, z.index], y.index, schema.AddOptionsT())
    end = net.conv(y, 4, (3, 3))
    return net.file([source.index, net.source.index], [end.index])
