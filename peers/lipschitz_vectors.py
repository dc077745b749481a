"""Makes the ONNX files and the expected numbers that tests of `lipschitz` read:

    python lipschitz_vectors.py ../fuzz/corpus/onnx ../crates/networks/tests/vectors/lipschitz.json

Models are put together with the package `onnx`; outputs and Jacobians are those of torch (layers of torch.nn.functional, automatic
differentiation) in double precision; bounds are those of lipschitz_torch.py, our transcription of the published ones.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnx
import torch
import torch.nn.functional as functional
from onnx import TensorProto, helper, numpy_helper

from lipschitz_torch import jacobian_bounds

torch.set_default_dtype(torch.float64)
GENERATOR = torch.Generator().manual_seed(0)


def draw(*shape):
    """Weights as a file has them: single precision."""
    scale = (2 / max(1, int(np.prod(shape[1:])))) ** 0.5 if len(shape) > 1 else 0.3
    return (scale * torch.randn(*shape, generator=GENERATOR)).to(torch.float32).to(torch.float64)


def positive(*shape):
    return (draw(*shape).abs() + 0.5).to(torch.float32).to(torch.float64)


def tensor(name, values, kind=np.float32):
    return numpy_helper.from_array(np.asarray(values, dtype=kind), name)


def save(folder, name, nodes, tensors, shape, output="y"):
    tensors = [tensor(key, value) if isinstance(value, torch.Tensor) else value for key, value in tensors.items()]
    graph = helper.make_graph(
        nodes,
        name,
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", *shape])],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["batch", "outputs"])],
        tensors,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    Path(folder, name).write_bytes(model.SerializeToString())


def chain(widths, kind):
    weights = [draw(out, into) for into, out in zip(widths, widths[1:])]
    biases = [draw(out) for out in widths[1:]]
    nodes, tensors, last = [], {}, "x"
    for place, (weight, bias) in enumerate(zip(weights, biases)):
        tensors[f"w{place}"], tensors[f"b{place}"] = weight, bias
        end = place == len(weights) - 1
        made = "y" if end else f"z{place}"
        nodes.append(helper.make_node("Gemm", [last, f"w{place}", f"b{place}"], [made], name=f"fc{place}", transB=1))
        if not end:
            nodes.append(helper.make_node(kind, [made], [f"h{place}"], name=f"act{place}"))
            last = f"h{place}"
    return weights, biases, nodes, tensors


ACTIVATIONS = {
    "Relu": torch.relu,
    "LeakyRelu": lambda z: functional.leaky_relu(z, 0.01),
    "Tanh": torch.tanh,
    "Sigmoid": torch.sigmoid,
}


def expected(name, function, shape, **more):
    points, outputs, jacobians = [], [], []
    count = int(np.prod(shape))
    for _ in range(3):
        x = torch.randn(count, generator=GENERATOR)
        points.append(x.tolist())
        outputs.append(function(x.reshape(1, *shape)).flatten().tolist())
        whole = torch.autograd.functional.jacobian(lambda x: function(x.reshape(1, *shape)).flatten(), x)
        jacobians.append(whole.tolist())
    return {"model": name, "points": points, "outputs": outputs, "jacobians": jacobians, **more}


def networks(folder):
    for kind, function in ACTIVATIONS.items():
        weights, biases, nodes, tensors = chain([4, 7, 6, 3], kind)
        name = f"reads-{kind.lower()}.onnx"
        save(folder, name, nodes, tensors, [4])

        def forward(x, weights=weights, biases=biases, function=function):
            for weight, bias in zip(weights[:-1], biases[:-1]):
                x = function(functional.linear(x, weight, bias))
            return functional.linear(x, weights[-1], biases[-1])

        more = {}
        if kind == "Relu":
            more["bounds"] = []
            for radius in (0.05, 0.3, 2.0):
                center = torch.randn(4, generator=GENERATOR)
                upper, low, high = jacobian_bounds(weights, biases, center - radius, center + radius)
                more["bounds"].append(
                    {
                        "center": center.tolist(),
                        "radius": radius,
                        "upper": upper.tolist(),
                        "low": low.tolist(),
                        "high": high.tolist(),
                    }
                )
        yield expected(name, forward, [4], **more)
    yield image(folder)
    yield residual(folder)
    yield arithmetic(folder)


def image(folder):
    """Convolutions with stride, uneven padding, groups and dilation, batch normalisation, average pooling."""
    one, two = draw(4, 2, 3, 3), draw(6, 2, 2, 2)
    bias = draw(4)
    norm = [draw(4), draw(4), draw(4), positive(4)]
    last, shift = draw(5, 6), draw(5)
    nodes = [
        helper.make_node("Conv", ["x", "one", "bias"], ["a"], name="conv1", strides=[2, 1], pads=[1, 0, 2, 1], kernel_shape=[3, 3]),
        helper.make_node("BatchNormalization", ["a", "scale", "shift", "mean", "variance"], ["b"], name="norm", epsilon=1e-3),
        helper.make_node("Relu", ["b"], ["c"], name="relu"),
        helper.make_node("Conv", ["c", "two"], ["d"], name="conv2", group=2, dilations=[1, 2], kernel_shape=[2, 2]),
        helper.make_node("AveragePool", ["d"], ["e"], name="pool", kernel_shape=[2, 2], strides=[1, 2]),
        helper.make_node("Relu", ["e"], ["f"], name="relu2"),
        helper.make_node("GlobalAveragePool", ["f"], ["g"], name="global"),
        helper.make_node("Flatten", ["g"], ["h"], name="flatten"),
        helper.make_node("Gemm", ["h", "last", "end"], ["y"], name="fc", transB=1),
    ]
    tensors = {"one": one, "bias": bias, "two": two, "last": last, "end": shift}
    tensors |= dict(zip(["scale", "shift", "mean", "variance"], norm))
    save(folder, "reads-convolutions.onnx", nodes, tensors, [2, 6, 7])
    epsilon = float(np.float32(1e-3))

    def forward(x):
        x = functional.conv2d(functional.pad(x, (0, 1, 1, 2)), one, bias, stride=(2, 1))
        x = functional.batch_norm(x, norm[2], norm[3], norm[0], norm[1], eps=epsilon).relu()
        x = functional.conv2d(x, two, groups=2, dilation=(1, 2))
        x = functional.avg_pool2d(x, (2, 2), (1, 2)).relu()
        return functional.linear(x.mean((2, 3)), last, shift)

    return expected("reads-convolutions.onnx", forward, [2, 6, 7])


def residual(folder):
    """A skip connection around a block, and one around the whole."""
    weights = [draw(5, 5) for _ in range(3)]
    nodes = [
        helper.make_node("MatMul", ["x", "w0"], ["a"], name="fc0"),
        helper.make_node("Relu", ["a"], ["b"], name="relu0"),
        helper.make_node("MatMul", ["b", "w1"], ["c"], name="fc1"),
        helper.make_node("Tanh", ["c"], ["d"], name="tanh"),
        helper.make_node("Add", ["d", "b"], ["e"], name="skip"),
        helper.make_node("MatMul", ["e", "w2"], ["f"], name="fc2"),
        helper.make_node("Sub", ["f", "x"], ["y"], name="around"),
    ]
    save(folder, "reads-skip.onnx", nodes, {f"w{k}": weight for k, weight in enumerate(weights)}, [5])

    def forward(x):
        b = (x @ weights[0]).relu()
        return ((b @ weights[1]).tanh() + b) @ weights[2] - x

    return expected("reads-skip.onnx", forward, [5])


def arithmetic(folder):
    """Normalisation of the input by constants, reshaping, and padding that is left to the exporter."""
    weight, last = draw(3, 1, 3, 3), draw(2, 12)
    mean, spread = draw(1, 1, 1), positive(1, 4, 1)
    nodes = [
        helper.make_node("Sub", ["x", "mean"], ["a"], name="center"),
        helper.make_node("Div", ["a", "spread"], ["b"], name="scale"),
        helper.make_node("Conv", ["b", "weight"], ["c"], name="conv", auto_pad="SAME_UPPER", strides=[2, 2]),
        helper.make_node("Relu", ["c"], ["d"], name="relu"),
        helper.make_node("Reshape", ["d", "shape"], ["e"], name="reshape"),
        helper.make_node("Identity", ["e"], ["f"], name="same"),
        helper.make_node("Gemm", ["f", "last"], ["g"], name="fc", transB=1, alpha=0.5),
        helper.make_node("Neg", ["g"], ["y"], name="turned"),
    ]
    tensors = {"mean": mean, "spread": spread, "weight": weight, "last": last}
    tensors["shape"] = tensor("shape", [0, -1], np.int64)
    save(folder, "reads-arithmetic.onnx", nodes, tensors, [1, 4, 4])

    def forward(x):
        x = (x - mean) / spread
        x = functional.conv2d(functional.pad(x, (0, 1, 0, 1)), weight, stride=2).relu()
        return -0.5 * (x.flatten(1) @ last.T)

    return expected("reads-arithmetic.onnx", forward, [1, 4, 4])


def refused(folder):
    weight = draw(3, 3)
    fc = helper.make_node("Gemm", ["x", "w"], ["a"], name="fc")
    for operator, attributes in [("Softmax", {}), ("MaxPool", {"kernel_shape": [2, 2]}), ("Erf", {}), ("Shape", {})]:
        nodes = [fc, helper.make_node(operator, ["a"], ["y"], name="probs", **attributes)]
        save(folder, f"refused-{operator.lower()}.onnx", nodes, {"w": weight}, [3])
    save(folder, "refused-product.onnx", [fc, helper.make_node("Mul", ["a", "x"], ["y"], name="gate")], {"w": weight}, [3])
    save(folder, "refused-width.onnx", [fc], {"w": weight}, [4], "a")
    save(folder, "refused-infinite.onnx", [fc], {"w": weight * float("inf")}, [3], "a")
    save(folder, "refused-no-output.onnx", [fc], {"w": weight}, [3], "nowhere")
    save(folder, "refused-free-axis.onnx", [fc], {"w": weight}, ["length"], "a")
    save(folder, "refused-leaky-share.onnx", [fc, helper.make_node("LeakyRelu", ["a"], ["y"], alpha=2.0)], {"w": weight}, [3])
    image = {"k": draw(1, 1, 3, 3)}
    conv = helper.make_node("Conv", ["x", "k"], ["y"], name="conv", kernel_shape=[3, 3])
    save(folder, "refused-image-too-small.onnx", [conv], image, [1, 2, 2])
    conv = helper.make_node("Conv", ["x", "k"], ["y"], name="conv", strides=[0, 1])
    save(folder, "refused-stride-zero.onnx", [conv], image, [1, 4, 4])
    conv = helper.make_node("Conv", ["x", "k"], ["y"], name="conv", pads=[2**60, 0, 2**60, 0])
    save(folder, "refused-padding-huge.onnx", [conv], image, [1, 4, 4])
    whole = Path(folder, "reads-relu.onnx").read_bytes()
    Path(folder, "refused-truncated.onnx").write_bytes(whole[: len(whole) // 2])
    Path(folder, "refused-empty").write_bytes(b"")
    Path(folder, "refused-text").write_bytes(b"not a model\n")


if __name__ == "__main__":
    folder = sys.argv[1]
    Path(folder).mkdir(parents=True, exist_ok=True)
    found = list(networks(folder))
    refused(folder)
    for entry in found:
        onnx.checker.check_model(onnx.load(Path(folder, entry["model"])))
    Path(sys.argv[2]).write_text(json.dumps({"torch": torch.__version__, "onnx": onnx.__version__, "networks": found}) + "\n")
