"""Keras and SavedModel files through TensorFlow's quantization; where TensorFlow is installed."""

import numpy as np
import pytest

from tests import skips

pytest.importorskip("tensorflow", reason=skips.not_installed("tensorflow"))

import keras
import safetensors.numpy
import tensorflow as tf

from sim.compare.tflite import TfliteComparer
from sim.functional import FunctionalModel
from sim.quantization import Quantization, dequantize, quantize
from sw.errors import DnaError
from sw.frontends import tensorflow
from sw.frontends.tflite import import_model, read

SHAPE = (16, 12, 3)


@pytest.fixture(scope="module")
def network():
    keras.utils.set_random_seed(1)
    layers = keras.layers
    image = keras.Input(SHAPE)
    x = layers.Conv2D(8, 3, 2, "same", use_bias=False)(image)
    x = layers.ReLU(6.0)(layers.BatchNormalization()(x))
    y = layers.DepthwiseConv2D(3, padding="same", activation="relu")(x)
    x = layers.Add()([x, layers.Conv2D(8, 1)(y)])
    x = layers.AveragePooling2D(2)(layers.MaxPooling2D(2)(x))
    x = layers.Dense(5, activation="softmax")(layers.Flatten()(x))
    return keras.Model(image, x)


def images(count):
    rng = np.random.default_rng(3)
    return [rng.normal(0, 1, SHAPE).astype(np.float32) for _ in range(count)]


@pytest.mark.parametrize("form", ["memory", "keras", "saved"])
def test_a_quantized_model_is_close_to_float32_and_bit_identical_to_litert(tmp_path, network, form):
    path = tmp_path / ("model.keras" if form == "keras" else "model")
    if form == "keras":
        network.save(path)
    elif form == "saved":
        network.export(path, verbose=False)
    model = tensorflow.of_keras(network) if form == "memory" else tensorflow.load(path)
    assert model.shape == SHAPE
    done = []
    content = model.quantize(images(20), lambda stage, count: done.append((stage, count)))
    assert done[-1] == ("calibrating", 20)
    file = read(content, "model")
    imported = import_model(file)
    graph = imported.graph
    comparer = TfliteComparer(content, file, imported)
    source, target = graph.tensors[graph.input], graph.tensors[graph.output]
    functional = FunctionalModel(graph)
    for image in images(5):
        pixels = quantize(image, Quantization(source.scale, source.zero_point, SHAPE))
        assert sum(found.mismatches for found in comparer.image(pixels)) == 0
        logits = dequantize(
            functional.run(pixels[None])[0],
            Quantization(target.scale, target.zero_point, target.shape),
        )
        probabilities = np.exp(logits) / np.exp(logits).sum()
        np.testing.assert_allclose(probabilities, model.run(image), atol=0.05)


def test_ranges_of_activations_reach_the_file(network):
    observed = keras.Model(network.inputs, {"all": network.layers[3].output})
    (ranges,) = tensorflow.observed_ranges(observed, images(4)).values()
    assert ranges[0] == 0
    assert 0 < ranges[1] <= 6


@pytest.mark.parametrize("what", ["missing", "text", "folder", "flat"])
def test_what_is_no_model_is_named(tmp_path, what):
    path = tmp_path / "model.keras"
    if what == "text":
        path.write_text("no model")
    elif what == "folder":
        path.mkdir()
    elif what == "flat":
        flat = keras.Input((7,))
        keras.Model(flat, keras.layers.Dense(2)(flat)).save(path)
    with pytest.raises(DnaError) as caught:
        tensorflow.load(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("input_name", "layer_name", "message"),
    [
        ("image input", "a", "takes no input called 'image input'; nearest: 'image_input'"),
        ("image", "class scores", "takes no layer called 'class scores'; nearest: 'class_scores'"),
        ("image", "inner/class: é", "no layer called 'inner/class: é'; nearest: 'inner/class___'"),
    ],
)
def test_a_name_that_the_converter_does_not_take(tmp_path, input_name, layer_name, message):
    image = keras.Input(SHAPE, name=input_name)
    x = keras.layers.Flatten()(image)
    if "/" in layer_name:  # of a model in the model
        inner = keras.Input(x.shape[1:])
        dense = keras.layers.Dense(3, name=layer_name.partition("/")[2])
        x = keras.Model(inner, dense(inner), name="inner")(x)
        message = message.replace("inner/", "")
    else:
        x = keras.layers.Dense(3, name=layer_name)(x)
    path = tmp_path / "model.keras"
    keras.Model(image, x).save(path)
    with pytest.raises(DnaError) as caught:
        tensorflow.load(path)
    assert message in str(caught.value)


@pytest.mark.parametrize("failure", [TypeError("a\nb"), RuntimeError(""), KeyError("x")])
def test_whatever_the_converter_raises_is_one_line(network, failure, monkeypatch):
    def convert(self):
        raise failure

    kind = type("Converter", (), {"convert": convert, "target_spec": tf.lite.TargetSpec()})
    monkeypatch.setattr(tf.lite.TFLiteConverter, "from_keras_model", lambda model: kind())
    with pytest.raises(DnaError, match="TensorFlow cannot quantize the model: ") as caught:
        tensorflow.of_keras(network).quantize(images(1))
    assert "\n" not in str(caught.value)


def test_an_image_that_cannot_be_read_stays_what_it_is(network):
    def broken():
        raise DnaError("a.png is no image")
        yield

    with pytest.raises(DnaError, match=r"^a.png is no image$"):
        tensorflow.of_keras(network).quantize(broken())


def test_resnet50_in_keras_is_the_one_in_pytorch(tmp_path):
    torch = pytest.importorskip("torch", reason=skips.not_installed("quantize"))
    from sw.models import resnet50, resnet50_keras
    from tests.support.random_weights import state

    path = tmp_path / "weights.safetensors"
    safetensors.numpy.save_file(state(), path)
    image = np.random.default_rng(0).normal(0, 50, (1, 224, 224, 3)).astype(np.float32)
    for version in ("v1", "v1.5"):
        ours, _ = resnet50.load(path, version)
        with torch.inference_mode():
            expected = ours(torch.from_numpy(image.transpose(0, 3, 1, 2))).numpy()
        model, observed, _, _ = resnet50_keras.load(path, version)
        got = model(tf.constant(image)).numpy()
        np.testing.assert_array_equal(observed(tf.constant(image))["fc"].numpy(), got)
        scale = np.abs(expected).max()
        np.testing.assert_allclose(got / scale, expected / scale, atol=1e-4)
