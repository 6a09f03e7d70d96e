"""Build the ONNX graph of a BERT sentence encoder from its published weights, without torch.

Token ids and mask in; mean-pooled vector of length 1 out. The arithmetic is float32 as in sentence-transformers, so
the vectors equal its own to the fourth decimal of the cosine and better.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file

OPSET = 20
IR_VERSION = 9


class _Graph:
    """Collects nodes and constants; each method returns the name of its output."""

    def __init__(self, weights: dict[str, NDArray[np.float32]]) -> None:
        self.weights = weights
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}

    def constant(self, name: str, value: object, dtype: type[np.generic] = np.int64) -> str:
        if name not in self.constants:
            self.constants[name] = numpy_helper.from_array(np.ascontiguousarray(np.asarray(value, dtype=dtype)), name)
        return name

    def scalar(self, name: str, value: float) -> str:
        self.constants[name] = numpy_helper.from_array(np.array(value, dtype=np.float32), name)
        return name

    def weight(self, name: str) -> str:
        return self.constant(name, self.weights[name], np.float32)

    def node(self, operator: str, *inputs: str, **attributes: Any) -> str:
        output = f"{operator}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [output], name=output, **attributes))
        return output

    def linear(self, value: str, prefix: str) -> str:
        transposed = self.constant(f"{prefix}.weight.T", self.weights[f"{prefix}.weight"].T, np.float32)
        return self.node("Add", self.node("MatMul", value, transposed), self.weight(f"{prefix}.bias"))

    def norm(self, value: str, prefix: str, epsilon: float) -> str:
        return self.node(
            "LayerNormalization",
            value,
            self.weight(f"{prefix}.weight"),
            self.weight(f"{prefix}.bias"),
            axis=-1,
            epsilon=epsilon,
        )


def build(model_dir: Path, target: Path) -> None:
    """Write the graph to `target`.

    Args:
        model_dir: holds `config.json` and `model.safetensors` of a BERT encoder.
        target: file to write; a half-written file is possible, so pass a temporary name and rename it.
    """
    config = json.loads((model_dir / "config.json").read_text())
    weights = {name: value.astype(np.float32) for name, value in load_file(model_dir / "model.safetensors").items()}
    graph = _Graph(weights)
    epsilon = float(config["layer_norm_eps"])
    hidden = _embed(graph, epsilon)
    bias = _attention_bias(graph)
    for layer in range(config["num_hidden_layers"]):
        hidden = _layer(graph, hidden, bias, f"encoder.layer.{layer}", config, epsilon)
    graph.nodes.append(helper.make_node("Identity", [_pool(graph, hidden)], ["embedding"], name="embedding"))
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "sentence-encoder",
            [
                helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "tokens"])
                for name in ("input_ids", "attention_mask")
            ],
            [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", config["hidden_size"]])],
            list(graph.constants.values()),
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
    )
    onnx.checker.check_model(model)
    onnx.save(model, str(target))


def _embed(graph: _Graph, epsilon: float) -> str:
    length = graph.node("Gather", graph.node("Shape", "input_ids"), graph.constant("one_index", [1]), axis=0)
    positions = graph.node(
        "Slice",
        graph.weight("embeddings.position_embeddings.weight"),
        graph.constant("slice_start", [0]),
        length,
        graph.constant("slice_axis", [0]),
    )
    words = graph.node("Gather", graph.weight("embeddings.word_embeddings.weight"), "input_ids", axis=0)
    segment = graph.constant("segment", graph.weights["embeddings.token_type_embeddings.weight"][0], np.float32)
    total = graph.node("Add", graph.node("Add", words, segment), positions)
    return graph.norm(total, "embeddings.LayerNorm", epsilon)


def _attention_bias(graph: _Graph) -> str:
    """Zero where there is a token, a large negative number where there is padding; shape (batch, 1, 1, tokens)."""
    mask = graph.node("Cast", "attention_mask", to=TensorProto.FLOAT)
    mask = graph.node("Unsqueeze", mask, graph.constant("axes_1_2", [1, 2]))
    return graph.node("Mul", graph.node("Sub", graph.scalar("one", 1.0), mask), graph.scalar("minus_infinity", -1e9))


def _layer(graph: _Graph, hidden: str, bias: str, prefix: str, config: dict[str, int], epsilon: float) -> str:
    heads, size = config["num_attention_heads"], config["hidden_size"]
    split = graph.constant("split_heads", [0, 0, heads, size // heads])

    def projected(name: str, order: list[int]) -> str:
        value = graph.node("Reshape", graph.linear(hidden, f"{prefix}.attention.self.{name}"), split)
        return graph.node("Transpose", value, perm=order)

    query, key, value = (
        projected("query", [0, 2, 1, 3]),
        projected("key", [0, 2, 3, 1]),
        projected("value", [0, 2, 1, 3]),
    )
    scale = graph.scalar("scale", float((size // heads) ** -0.5))
    scores = graph.node("Add", graph.node("Mul", graph.node("MatMul", query, key), scale), bias)
    context = graph.node("MatMul", graph.node("Softmax", scores, axis=-1), value)
    merged = graph.constant("merge_heads", [0, 0, size])
    context = graph.node("Reshape", graph.node("Transpose", context, perm=[0, 2, 1, 3]), merged)
    attended = graph.node("Add", graph.linear(context, f"{prefix}.attention.output.dense"), hidden)
    attended = graph.norm(attended, f"{prefix}.attention.output.LayerNorm", epsilon)
    inner = graph.node("Gelu", graph.linear(attended, f"{prefix}.intermediate.dense"))
    outer = graph.node("Add", graph.linear(inner, f"{prefix}.output.dense"), attended)
    return graph.norm(outer, f"{prefix}.output.LayerNorm", epsilon)


def _pool(graph: _Graph, hidden: str) -> str:
    """Mean over the tokens that are not padding, then length 1."""
    mask = graph.node("Cast", "attention_mask", to=TensorProto.FLOAT)
    mask = graph.node("Unsqueeze", mask, graph.constant("axis_2", [2]))
    axis = graph.constant("axis_1", [1])
    total = graph.node("ReduceSum", graph.node("Mul", hidden, mask), axis, keepdims=0)
    mean = graph.node("Div", total, graph.node("ReduceSum", mask, axis, keepdims=0))
    length = graph.node("ReduceL2", mean, graph.constant("axis_last", [-1]), keepdims=1)
    return graph.node("Div", mean, length)
