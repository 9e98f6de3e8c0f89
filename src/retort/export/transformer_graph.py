"""BERT and ALBERT, operator by operator.

onnxruntime fuses what matters by itself (bias + GELU, scaled products): graphs of its own fused operators
(Attention, MultiHeadAttention, SkipLayerNormalization, one packed query-key-value product) measured 1 to 11 % slower
with MiniLM at 16 and 64 tokens, so any ONNX runtime can serve this one.
"""

from onnx import TensorProto

from retort.export.graph import Graph
from retort.model.architecture import EncoderConfig

MASKED = -10_000.0  # finite, so a row of nothing but padding gives numbers; exp(MASKED) is 0 in float32


def write_transformer(g: Graph, config: EncoderConfig, only_first: bool = False) -> str:
    """States (B, T, H); with `only_first` (B, 1, H): of the last layer just what the first token needs."""
    hidden = _embeddings(g, config)
    mask = g.node("Cast", g.node("Unsqueeze", "attention_mask", g.integers(1, 2)), to=TensorProto.FLOAT)
    bias = g.node("Mul", g.node("Sub", g.number(1.0), mask), g.number(MASKED))
    for layer in range(config.n_layers):
        queries = hidden
        if only_first and layer == config.n_layers - 1:
            queries = g.node("Slice", hidden, g.integers(0), g.integers(1), g.integers(1))
        hidden = _layer(g, config, f"layer.{config.group_of(layer)}", queries, hidden, bias)
    return hidden


def _embeddings(g: Graph, config: EncoderConfig) -> str:
    words = g.node("Gather", g.weight("embeddings.word"), "input_ids")
    types = g.node("Gather", g.weight("embeddings.token_type"), "token_type_ids")
    length = g.node("Shape", "input_ids", start=1, end=2)
    positions = g.node("Slice", g.weight("embeddings.position"), g.integers(0), length, g.integers(0))
    hidden = g.norm(g.node("Add", g.node("Add", words, types), positions), "embeddings.norm")
    projected = config.family == "albert" or config.embedding_size != config.hidden_size
    return g.dense(hidden, "embeddings.projection") if projected else hidden


def _layer(g: Graph, config: EncoderConfig, name: str, queries: str, hidden: str, bias: str) -> str:
    """One transformer layer: `queries` (B, Q, H) attend to `hidden` (B, T, H)."""
    attended = g.dense(_attention(g, config, f"{name}.attention", queries, hidden, bias), f"{name}.attention.output")
    x = g.norm(g.node("Add", attended, queries), f"{name}.attention.norm")
    inner = g.activation(g.dense(x, f"{name}.ffn.intermediate"), config.activation)
    return g.norm(g.node("Add", g.dense(inner, f"{name}.ffn.output"), x), f"{name}.ffn.norm")


def _attention(g: Graph, config: EncoderConfig, name: str, queries: str, hidden: str, bias: str) -> str:
    n_heads, size = config.n_heads, config.hidden_size
    head_size = size // n_heads

    def heads(x: str, part: str, perm: list[int]) -> str:
        shape = g.integers(0, -1, n_heads, head_size)  # 0: as in the input
        return g.node("Transpose", g.node("Reshape", g.dense(x, f"{name}.{part}"), shape), perm=perm)

    query, value = heads(queries, "query", [0, 2, 1, 3]), heads(hidden, "value", [0, 2, 1, 3])
    scores = g.node("MatMul", query, heads(hidden, "key", [0, 2, 3, 1]))
    scaled = g.node("Mul", scores, g.number(float(head_size) ** -0.5))
    mixed = g.node("MatMul", g.node("Softmax", g.node("Add", scaled, bias), axis=-1), value)
    return g.node("Reshape", g.node("Transpose", mixed, perm=[0, 2, 1, 3]), g.integers(0, -1, size))
