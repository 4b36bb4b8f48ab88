"""Microseconds of one picture through a model of examples/digits in ONNX Runtime, as JSON.

    onnx_digits.py mlp|conv THREADS

The architecture is that of examples/digits/digits.cpp with random weights. Input and output are
bound once, as a session of yiti binds them, and the median of 10,000 runs after 1,000 counts.
"""
import json
import statistics
import sys
import time

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

WARM_UP, RUNS = 1000, 10000


def initializer(name, *shape):
    values = np.random.default_rng(len(name)).standard_normal(shape)
    values /= np.sqrt(values.size / shape[0])
    return numpy_helper.from_array(values.astype(np.float32), name)


def layer(name, *shape):
    return [initializer(f"{name}.weight", *shape), initializer(f"{name}.bias", shape[0])]


def linear(x, name, y):
    return helper.make_node("Gemm", [x, f"{name}.weight", f"{name}.bias"], [y], transB=1)


def convolution(x, name, y):
    return helper.make_node("Conv", [x, f"{name}.weight", f"{name}.bias"], [y],
                            kernel_shape=[3, 3], pads=[1, 1, 1, 1])


def mlp():
    nodes = [helper.make_node("Flatten", ["images"], ["x"]), linear("x", "hidden", "h"),
             helper.make_node("Relu", ["h"], ["r"]), linear("r", "head", "logits")]
    return nodes, layer("hidden", 256, 64) + layer("head", 10, 256)


def conv():
    nodes = [convolution("images", "conv1", "c1"), helper.make_node("Relu", ["c1"], ["r1"]),
             convolution("r1", "conv2", "c2"), helper.make_node("Relu", ["c2"], ["r2"]),
             helper.make_node("MaxPool", ["r2"], ["p"], kernel_shape=[2, 2], strides=[2, 2]),
             helper.make_node("Flatten", ["p"], ["x"]), linear("x", "head", "logits")]
    return nodes, (layer("conv1", 24, 1, 3, 3) + layer("conv2", 24, 24, 3, 3) +
                   layer("head", 10, 24 * 4 * 4))


def session_of(nodes, parameters, threads):
    value = helper.make_tensor_value_info
    graph = helper.make_graph(nodes, "digits", [value("images", TensorProto.FLOAT, [1, 1, 8, 8])],
                              [value("logits", TensorProto.FLOAT, [1, 10])], parameters)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(model.SerializeToString(), options,
                                        providers=["CPUExecutionProvider"])


def main():
    name, threads = sys.argv[1], int(sys.argv[2])
    session = session_of(*{"mlp": mlp, "conv": conv}[name](), threads)
    binding = session.io_binding()
    binding.bind_cpu_input("images", np.full((1, 1, 8, 8), 0.5, np.float32))
    binding.bind_output("logits")
    times = []
    for _ in range(WARM_UP + RUNS):
        begin = time.perf_counter_ns()
        session.run_with_iobinding(binding)
        times.append(time.perf_counter_ns() - begin)
    print(json.dumps({f"{name}_us": statistics.median(times[WARM_UP:]) / 1e3}))


if __name__ == "__main__":
    main()
