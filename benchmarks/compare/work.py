"""The least that a model's runs must compute and read, and the share of a machine's limits that a
speed is of that."""
from dataclasses import dataclass, field

# The limits as benchmarks/limits measures them, in operations and bytes per second. Where there are no
# bf16 instructions, bf16 is multiplied as float32.
LIMITS = {"f32": ("f32_gflops", 1e9), "bf16": ("bf16_gflops", 1e9), "int8": ("int8_gops", 1e9),
          "read": ("read_gb_per_s", 1e9)}


@dataclass(frozen=True)
class Work:
    """What `tokens` tokens need. `operations` by the dtype that they are done in; a multiply-add is
    two. `bound` names the limit of which a share is stated: "arithmetic" or "read"."""
    bound: str
    tokens: int
    operations: dict = field(default_factory=dict)
    bytes: float = 0


def share(work, tokens_per_second, limits):
    """The time that the limit allows, of the time that was taken."""
    def seconds(kind, amount):
        name, unit = LIMITS["f32" if kind == "bf16" and "bf16_gflops" not in limits else kind]
        return amount / (limits[name] * unit)
    if work.bound == "read":
        least = seconds("read", work.bytes)
    else:
        least = sum(seconds(kind, amount) for kind, amount in work.operations.items())
    return least * tokens_per_second / work.tokens


@dataclass(frozen=True)
class Shape:
    """A decoder of Llama's kind, as a file has it. `dtype` is that of its products: int8 for
    quantised weights, which meet activations of 8 bits; bf16 and f32 for these."""
    layers: int
    width: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    weight_bytes: int  # read for a token: all but an embedding that is not the head, too
    dtype: str

    def layer_operations(self):
        """Of the products with weights for one token, without the head."""
        attention = self.width * self.head_dim * 2 * (self.heads + self.kv_heads)
        return 2 * self.layers * (attention + 3 * self.width * self.hidden)

    def head_operations(self):
        return 2 * self.width * self.vocabulary

    def attention_operations(self, tokens):
        """Two products over the causal half, in float32."""
        return 2 * self.layers * self.heads * self.head_dim * tokens * (tokens + 1)

    def kv_bytes(self, depth):
        return 2 * self.layers * self.kv_heads * self.head_dim * depth * 2

    def prefill(self, tokens):
        """Only the last token's logits are wanted."""
        return Work("arithmetic", tokens, added(
            {self.dtype: tokens * self.layer_operations() + self.head_operations()},
            {"f32": self.attention_operations(tokens)}))

    def decode(self, depth, tokens, batch=1):
        """`tokens` steps of `batch` sequences that begin at `depth`."""
        middle = depth + tokens / 2
        return Work("read", tokens * batch,
                    bytes=tokens * (self.weight_bytes + batch * self.kv_bytes(middle)))

    def full_step(self, rows, row_tokens):
        """Backward has two products for each of forward's."""
        tokens = rows * row_tokens
        products = tokens * (self.layer_operations() + self.head_operations())
        attention = rows * self.attention_operations(row_tokens)
        return Work("arithmetic", tokens, {"f32": 3 * (products + attention)})

    def lora_step(self, rows, row_tokens, rank=8):
        """The weights' own gradients are left out; their inputs' gradients are in bf16, but for
        weights of float32."""
        tokens = rows * row_tokens
        products = tokens * (self.layer_operations() + self.head_operations())
        attention = rows * self.attention_operations(row_tokens)
        adapter = 2 * tokens * rank * self.layers * (
            self.head_dim * 2 * (self.heads + self.kv_heads) + 4 * self.width + 3 * (
                self.width + self.hidden))
        return Work("arithmetic", tokens, added(
            {self.dtype: products}, {"f32" if self.dtype == "f32" else "bf16": products},
            {"f32": 3 * (attention + adapter)}))


def added(*terms):
    """Operations by dtype, summed."""
    total = {}
    for term in terms:
        for dtype, amount in term.items():
            total[dtype] = total.get(dtype, 0) + amount
    return total
