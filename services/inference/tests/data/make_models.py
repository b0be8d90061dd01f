"""Writes the ONNX models of the tests. Run with the `onnx` package: python make_models.py

affine.onnx  y = x W + b over FP32 rows of three, with weights that give exact results.
echo.onnx    gives its BYTES, BOOL, INT64 and FP64 inputs back under other names.
heavy.onnx   y = x W1 ... W8 with eight 16 MiB matrices that the runtime makes when it loads the file.
"""

from pathlib import Path

from onnx import TensorProto, checker, helper, save

FOLDER = Path(__file__).parent
OPSET = [helper.make_opsetid("", 17)]


def write(name, nodes, inputs, outputs, initializers=()):
    graph = helper.make_graph(nodes, name, inputs, outputs, list(initializers))
    model = helper.make_model(graph, opset_imports=OPSET, ir_version=9, producer_name="moneta-tests")
    checker.check_model(model, full_check=True)
    save(model, FOLDER / f"{name}.onnx")


def affine():
    weights = helper.make_tensor("w", TensorProto.FLOAT, [3, 2], [1.0, 0.5, -2.0, 0.25, 4.0, -1.0])
    bias = helper.make_tensor("b", TensorProto.FLOAT, [2], [0.5, -1.0])
    write(
        "affine",
        [helper.make_node("MatMul", ["x", "w"], ["xw"]), helper.make_node("Add", ["xw", "b"], ["y"])],
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 2])],
        [weights, bias],
    )


def echo():
    tensors = [
        ("text", TensorProto.STRING, ["batch"]),
        ("flag", TensorProto.BOOL, ["batch"]),
        ("count", TensorProto.INT64, ["batch", "width"]),
        ("real", TensorProto.DOUBLE, ["batch"]),
    ]
    write(
        "echo",
        [helper.make_node("Identity", [name], [f"{name}_out"]) for name, _, _ in tensors],
        [helper.make_tensor_value_info(*tensor) for tensor in tensors],
        [helper.make_tensor_value_info(f"{name}_out", kind, shape) for name, kind, shape in tensors],
    )


def heavy(layers=8, width=2048):
    nodes, last = [], "x"
    for index in range(layers):
        value = helper.make_tensor("value", TensorProto.FLOAT, [1], [1.0 / (index + 2)])
        nodes.append(helper.make_node("ConstantOfShape", ["shape"], [f"w{index}"], value=value))
        result = "y" if index == layers - 1 else f"h{index}"
        nodes.append(helper.make_node("MatMul", [last, f"w{index}"], [result]))
        last = result
    write(
        "heavy",
        nodes,
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", width])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", width])],
        [helper.make_tensor("shape", TensorProto.INT64, [2], [width, width])],
    )


if __name__ == "__main__":
    affine()
    echo()
    heavy()
