"""Closed formulas for activations, in floats: what a rank keeps of a microbatch from its forward to
its backward pass, and what it has beside that for a while.

Of the eager decoder, in float32 on a CPU, or with matrix products in less. "Per token" is per token
that the rank computes: of its sequences, or of its part of them along "cp". Of that, the ranks
along "tp" share out the residual stream and norms by tokens, everything behind a matrix by heads or
inner width. Whole on each is what they gather before a matrix. It is kept, once per norm and in the
precision of products; Megatron-LM keeps a rank's part and gathers it again (Korthikanti et al.
2022, arXiv 2205.05198, section 4.2.2). Products in less keep a copy of the matrix, too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from bessemer.config.axes import Axes
from bessemer.config.model import ExpertsConfig
from bessemer.costs.compute import Shape

FLOAT_BYTES = 4
# Tokens whose logits exist at a time, on a CPU (model/cross_entropy.py, which needs torch).
LOGIT_CHUNK_TOKENS = 256
_WHOLE = Axes()


@dataclass(frozen=True, kw_only=True, slots=True)
class Activations:
    """Floats of one microbatch and all layers."""

    layers: int  # kept, of all layers
    once: int  # kept, however many layers there are
    end: int  # kept by the last norm: its input, the normalised one, the output
    transient: int  # that one layer has more than is kept of all, computed again or made on the way
    stream: int  # hidden states between two layers

    @property
    def kept(self) -> int:
        """Between forward and backward pass."""
        return self.layers + self.once + self.end


@dataclass(frozen=True, kw_only=True, slots=True)
class _Part:
    """Attention or the feed-forward layer, with the norm before it. Per token, but `once`."""

    kept: Fraction  # if nothing is to be computed again
    products: Fraction  # results of matrix products and attention, which "selective" keeps
    unused: Fraction = Fraction(0)  # of these, held though nothing is computed from them again
    made: Fraction = Fraction(0)  # at the most, beside what is kept, in the backward pass
    once: int = 0  # the same, once
    copies: Fraction = Fraction(0)  # of matrices in the precision of products, once


@dataclass(frozen=True, kw_only=True, slots=True)
class _Matrices:
    """How the products of a layer are computed."""

    tp: int
    low: Fraction  # floats that one of their numbers takes

    @property
    def is_lean(self) -> bool:
        """Whether model/lean.py makes inputs again instead of keeping them."""
        return self.tp == 1 and self.low == 1

    def copies(self, num_parameters: int) -> Fraction:
        """Of matrices, if they are not in the precision of products."""
        return num_parameters * self.low / self.tp if self.low < 1 else Fraction(0)


def activations(
    shape: Shape,
    num_sequences: int,
    seq_len: int,
    document_mask: bool = True,
    axes: Axes = _WHOLE,
    cp_exchange: str = "all-gather",
    recompute: str = "none",
    product_bytes: int = FLOAT_BYTES,
) -> Activations:
    """Of a microbatch of `num_sequences` sequences, packed with several documents each if there is
    a `document_mask`; `recompute` and `cp_exchange` are as in `[cluster]`. Numbers in matrix
    products have `product_bytes`; layers with experts are counted as if these were float32's.
    Experts get as many tokens each.

    A layer that is computed again is then kept as if nothing were to be: with "full" beside the
    inputs of all layers, with "selective" beside the products of all layers. So of those that are
    kept anyway only the layers before it count, as its backward pass comes after that of later
    ones.
    """
    tokens = num_sequences * seq_len // axes.cp
    stream = Fraction(shape.hidden_dim, axes.tp)
    kept = most = Fraction(0)
    low = Fraction(product_bytes, FLOAT_BYTES)
    for attention, feed_forward in _parts(shape, seq_len, document_mask, axes, cp_exchange, low):
        both = attention.kept + feed_forward.kept
        products = stream + attention.products + feed_forward.products
        stays = {"none": both, "selective": products, "full": stream}[recompute]
        copies = attention.copies + feed_forward.copies
        kept += tokens * stays + (copies if recompute == "none" else 0)
        unused = feed_forward.unused if recompute == "selective" else 0
        again = both + unused - stays + feed_forward.made
        once = feed_forward.once + (copies if recompute != "none" else 0)
        most = max(most, kept + tokens * again + once)
    return Activations(
        layers=int(kept),
        once=_kept_once(shape, num_sequences, seq_len, document_mask, axes, cp_exchange),
        end=int(tokens * _norm(shape.hidden_dim, axes.tp)),
        transient=int(most - kept),
        stream=int(tokens * stream),
    )


def loss_floats(shape: Shape, num_tokens: int, tp: int = 1) -> int:
    """Made by the loss for tokens of this rank: two gradients, of hidden states and of the output
    projection, and the logits of a chunk of tokens; or, later, a rank's part of the former. Along
    "tp" each rank has its rows of the vocabulary."""
    rows = -(-shape.vocab_size // tp)
    logits = min(LOGIT_CHUNK_TOKENS, num_tokens) * rows
    part = num_tokens * shape.hidden_dim // tp if tp > 1 else 0
    return (num_tokens + rows) * shape.hidden_dim + max(logits, part)


def _parts(
    shape: Shape, seq_len: int, document_mask: bool, axes: Axes, cp_exchange: str, low: Fraction
) -> Iterator[tuple[_Part, _Part]]:
    """Attention and feed-forward layer of each layer, in order."""
    copies = axes.cp if axes.cp > 1 and cp_exchange == "all-gather" else 1
    matrices = _Matrices(tp=axes.tp, low=low)
    dense = _dense(shape, matrices)
    mixture = dense if shape.experts is None else _mixture(shape, shape.experts, axes)
    first = shape.num_layers - shape.num_expert_layers
    for layer, window in enumerate(shape.windows):
        is_joined = document_mask or (window or seq_len) < seq_len or axes.cp > 1
        attention = _attention(shape, matrices, is_joined, copies)
        yield attention, (dense if layer < first else mixture)


def _norm(width: int, tp: int) -> Fraction:
    """The input, the normalised input and one scale; the output, whole."""
    return Fraction(2 * width + 1, tp) + width


def _inputs(width: int, matrices: _Matrices) -> Fraction:
    """A norm before matrices. In one process, without what model/lean.py makes again."""
    if matrices.is_lean:
        return Fraction(width + 1)
    return _norm(width, matrices.tp) - width + width * matrices.low


def _dropout(shape: Shape) -> Fraction:
    """A byte for each element of the residual stream."""
    return Fraction(shape.dropout * shape.hidden_dim, FLOAT_BYTES)


def _attention(shape: Shape, matrices: _Matrices, is_joined: bool, times: int) -> _Part:
    """Kept: the norm's; queries, keys, values, the output and one log-sum per head; with QK-norm,
    queries and keys before it and normalised, and their scales; the output once more if it is
    joined from several parts; keys and values as many `times`.

    Products: of four matrices, the output and the log-sum. The last of them is whole on each rank
    along "tp", a term of a sum."""
    width, tp, low = shape.hidden_dim, matrices.tp, matrices.low
    heads, keys = shape.num_heads * shape.head_dim, shape.num_kv_heads * shape.head_dim
    kept = low * (2 * heads + 2 * keys * times + heads * is_joined) + shape.num_heads
    kept += _dropout(shape)
    if shape.qk_norm:
        kept += 2 * (heads + keys) + shape.num_heads + shape.num_kv_heads
    products = (low * (2 * heads + 2 * keys) + shape.num_heads) / tp + low * width
    return _Part(
        kept=_inputs(width, matrices) + kept / tp,
        products=products,
        copies=matrices.copies(2 * width * (heads + keys)),
    )


def _dense(shape: Shape, matrices: _Matrices) -> _Part:
    """Kept: the norm's; results of two matrices and, unless made again, what is made of them for
    the third and on the way.

    Made in the backward pass, with the gradient of what the layer gives: three gradients of inner
    width, of which two are left if something kept is let go, or there one and that of the output
    whole; and the gradient of the third matrix. Or, before that, the norm's output before it is
    narrowed, the gradient of the output and what attention gave."""
    width, tp, low = shape.hidden_dim, matrices.tp, matrices.low
    inner, is_lean = low * Fraction(shape.ffn_dim, tp), matrices.is_lean
    stream = Fraction(width, tp)
    made = 3 * inner if is_lean else max(2 * inner, inner + low * width)
    if low < 1:
        made = max(made, 2 * stream + low * width - 2 * inner)
    return _Part(
        kept=_inputs(width, matrices) + (2 if is_lean else 4) * inner + _dropout(shape) / tp,
        products=2 * inner + low * width,
        unused=Fraction(0) if is_lean else low * width,
        made=stream + made,
        once=int(low * width * shape.ffn_dim / tp),
        copies=matrices.copies(3 * width * shape.ffn_dim),
    )


def _mixture(shape: Shape, experts: ExpertsConfig, axes: Axes) -> _Part:
    """Kept: the norm's; the router's logits, scores and log-sum; per chosen expert its input and
    output, four times its width, its id and two places (8 bytes each; two places more if experts
    are spread over ranks) and its weight, before and after normalisation by one sum; of the shared
    experts twice their width, or along "tp" four times and their input, whole.

    Made while the layer is computed, again or at first: the weighted outputs, their sum, what
    attention gave and the gradient of what the layer gives; outputs before they are sent back; of
    shared experts the output and what is made for it, or along "tp" that gradient, whole, and while
    they have nothing but their input that once more, as it was sent."""
    tp, width, chosen = axes.tp, shape.hidden_dim, experts.experts_per_token
    num_places = 2 if axes.ep * tp == 1 else 4
    each = 2 * width + 4 * experts.ffn_dim + 2 * (1 + num_places) + (2 if experts.normalize else 1)
    router = 2 * experts.num_experts + 1 + (1 if experts.normalize else 0)
    kept = Fraction(chosen * each + router + 3 * width + 1, tp) + _dropout(shape) / tp
    products = chosen * (2 * experts.ffn_dim + width) + experts.num_experts
    made = chosen * width * (1 if axes.ep * tp == 1 else 2) + 3 * width
    inner, is_split = Fraction(experts.num_shared * experts.ffn_dim, tp), tp > 1
    has_shared = bool(experts.num_shared)
    kept += 4 * inner + width * has_shared if is_split else 2 * inner
    whole = max(Fraction(width), 2 * width - 4 * inner) if is_split else width + inner
    return _Part(
        kept=kept,
        products=Fraction(products, tp) + 2 * inner + width * has_shared,
        unused=Fraction(width * (is_split and has_shared)),
        made=Fraction(made, tp) + whole * has_shared,
    )


def _kept_once(
    shape: Shape,
    num_sequences: int,
    seq_len: int,
    document_mask: bool,
    axes: Axes,
    cp_exchange: str,
) -> int:
    """Per token its id (8 bytes), and of packed documents the rotary tables, which else all
    sequences share; a window's mask; for routers a byte for each token that may be padding. Of
    all-gather along "cp" masks, which may be smaller for packed documents."""
    tokens, tables = num_sequences * seq_len // axes.cp, 2 * shape.head_dim
    windows = {min(window or seq_len, seq_len) for window in shape.windows}
    once = 2 * tokens + tables * (tokens if document_mask else seq_len // axes.cp)
    if axes.cp > 1 and cp_exchange == "all-gather":
        masks = sum(_mask_of_part(seq_len, window, axes.cp) for window in windows)
        once += masks * (num_sequences if document_mask else 1)
    else:
        once += sum(2 * window**2 for window in windows if window < seq_len)
    if document_mask and shape.experts is not None:
        once += tokens // FLOAT_BYTES
    return once + int(tokens * _dropout(shape) / axes.tp)


def _mask_of_part(seq_len: int, window: int, cp: int) -> int:
    """What the two chunks of one of `cp` ranks, of the last one, may see of a sequence."""
    chunk = seq_len // (2 * cp)
    begins = (cp - 1) * chunk, cp * chunk
    return sum(chunk * (chunk + min(begin, window - 1)) for begin in begins)
