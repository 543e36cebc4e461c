"""Run file, `[train]`, `[diagnose]` and `[report]`: how to train, and how to look at it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from bessemer.config.base import Fraction, Section, Tokens


class MuonConfig(Section):
    """`[train.optimizer.muon]`: of the hidden matrices if `kind` is "muon"."""

    lr_factor: float = Field(default=1.0, ge=0)
    """Their learning rate as a multiple of `train.optimizer.lr`."""
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.95
    nesterov: bool = True
    scale: Literal["adamw", "spectral"] = "adamw"
    """How long a step is at rate 1. "adamw": entries are as large as in a step of AdamW, so that
    its learning rate and weight decay carry over (Moonlight); "spectral": an orthogonal
    matrix times sqrt(max(1, rows/columns)) (Jordan), which goes with rates of about 0.02."""


class ParameterGroupConfig(Section):
    """One `[[train.optimizer.group]]`: other settings for some parameters."""

    match: str
    """Shell pattern of parameter names, as in "embed_tokens.*" or "layers.0.*.q_proj.weight". Where
    several match, each key is taken from the last group that gives it."""
    lr_factor: float | None = Field(default=None, ge=0)
    """Their learning rate as a multiple of what it would be."""
    weight_decay: float | None = Field(default=None, ge=0)


class OptimizerConfig(Section):
    """`[train.optimizer]`."""

    kind: Literal["adamw", "muon"] = "adamw"
    """"muon" takes the hidden matrices; embeddings, the output projection, routers and norms stay
    with AdamW."""
    lr: float = Field(default=3e-4, gt=0)
    """Peak of the learning rate."""
    beta1: Annotated[float, Field(ge=0, lt=1)] = 0.9
    beta2: Annotated[float, Field(ge=0, lt=1)] = 0.95
    eps: float = Field(default=1e-8, gt=0)
    weight_decay: float = Field(default=0.1, ge=0)
    """Applied to matrices; never to norms and biases unless a group says so."""
    clip_grad_norm: float = Field(default=1.0, gt=0)
    muon: MuonConfig = MuonConfig()
    group: Annotated[tuple[ParameterGroupConfig, ...], Field(strict=False)] = ()


class RoutingConfig(Section):
    """`[train.routing]`: how the router of a mixture of experts is kept in balance."""

    z_loss: float = Field(default=1e-3, ge=0)
    """Weight of logsumexp(router logits)^2 per token and layer (ST-MoE, arXiv 2202.08906)."""
    balance_loss: float = Field(default=1e-3, ge=0)
    """Of softmax routers: weight of the balance loss per token and layer, as in Qwen3-MoE."""
    balance_rate: float = Field(default=1e-3, ge=0)
    """Of sigmoid routers: how far a selection bias moves in one step, as in DeepSeek-V3."""


class ScheduleConfig(Section):
    """`[train.schedule]`: the learning rate as a function of the tokens seen."""

    kind: Literal["cosine", "linear", "1-sqrt", "constant", "wsd"] = "cosine"
    """The decay from the end of the warm-up to that of training. "wsd" (warm-up, stable, decay)
    stays at the peak until its decay begins: a run file with another `total_tokens` then shares
    the whole stable phase with this one."""
    warmup_frac: Fraction = 0.02
    """Share of `total_tokens`."""
    warmup_tokens: Tokens | None = None
    """Instead of `warmup_frac`."""
    decay_frac: Fraction = 0.2
    """Of "wsd": share of `total_tokens`."""
    decay_tokens: Tokens | None = None
    """Of "wsd": instead of `decay_frac`."""
    decay_shape: Literal["cosine", "linear", "1-sqrt"] = "1-sqrt"
    """Of "wsd"."""
    final_lr_frac: Fraction = 0.1
    """Learning rate at the end, as a share of the peak."""

    @property
    def shape_of_decay(self) -> str:
        """How the rate falls at the end."""
        return self.decay_shape if self.kind == "wsd" else self.kind

    def warmup_tokens_of(self, total_tokens: int) -> int:
        """Tokens of the warm-up in a run of `total_tokens`."""
        if self.warmup_tokens is not None:
            return self.warmup_tokens
        return round(self.warmup_frac * total_tokens)

    def decay_tokens_of(self, total_tokens: int) -> int:
        """Tokens of the decay at the end of a run of `total_tokens`."""
        if self.kind == "constant":
            return 0
        if self.kind != "wsd":
            return total_tokens - self.warmup_tokens_of(total_tokens)
        if self.decay_tokens is not None:
            return self.decay_tokens
        return round(self.decay_frac * total_tokens)


class EmaConfig(Section):
    """`[train.ema]`: a moving average of the weights, which then is what is evaluated, diagnosed
    and exported; training goes on with the weights themselves."""

    half_life_tokens: Tokens
    """Weights of so many tokens ago count half; a few percent of `total_tokens` is usual."""


class CheckpointConfig(Section):
    """`[train.checkpoint]`."""

    every_steps: int = Field(default=100, ge=1)
    keep: int = Field(default=2, ge=1)
    """How many of the latest checkpoints to keep; the final one always is, and so is the one before
    the decay of "wsd", from which runs of other lengths may branch."""
    keep_every_steps: int | None = Field(default=None, ge=1)
    """Those after a multiple of so many steps are kept for good, too."""
    keep_best: int = Field(default=0, ge=0)
    """And so many with the fewest held-out bits per byte, the mean over sources, among those saved
    where `[train.evaluate]` measured them."""
    asynchronous: bool = True
    """Copy the state and go on training while the copy is written; without it, training waits for
    the storage, and no memory is needed for the copy."""
    most_steps_unsaved: int | None = Field(default=None, ge=1)
    """A save that fails is tried again at the next one; training stops once it has gone on for more
    steps than this without one that succeeds. Absent means three times `every_steps`."""

    @property
    def unsaved_limit(self) -> int:
        """Steps that training may go on without a good save."""
        return self.most_steps_unsaved or 3 * self.every_steps


GuardAction = Literal["record", "stop", "skip", "rewind"]


class GuardConfig(Section):
    """`[train.guard]`: what becomes of a batch whose loss, gradient or update is out of bounds.

    "record" writes the evidence (documents and their losses) and goes on; "skip" leaves the batch
    out; "rewind" also takes weights and optimizer back to the last checkpoint; "stop" ends the run.
    """

    spike: GuardAction = "record"
    nonfinite: Literal["stop", "skip", "rewind"] = "stop"
    max_deviations: float = Field(default=20.0, gt=0)
    """A spike is this many robust standard deviations (median, MAD) above the last steps."""
    window_steps: int = Field(default=128, ge=8)
    min_steps: int = Field(default=32, ge=8)
    """Steps before the guard can tell what is usual."""
    max_interventions: int = Field(default=10, ge=0)
    """Batches skipped and rewinds made before the run stops after all."""


class EvaluateConfig(Section):
    """`[train.evaluate]`: held-out bits per byte while training."""

    every_steps: int = Field(default=100, ge=1)
    tokens_per_source: Tokens = 65536


class BatchRampConfig(Section):
    """`[train.batch_ramp]`: begin with a smaller batch, and grow it in equal increments."""

    start_tokens: Tokens
    """The first batch, in tokens."""
    increment_tokens: Tokens
    over_tokens: Tokens
    """Tokens of training after which the batch is `global_batch_tokens`."""


class PhaseConfig(Section):
    """One `[[train.phase]]`: what changes once so many tokens were seen."""

    from_tokens: Tokens
    """Holds from the first step that begins at or after so many tokens."""
    seq_len: int | None = Field(default=None, ge=8)
    """Absent means as before."""
    weights: dict[str, Annotated[float, Field(ge=0)]] | None = None
    """Share of each source in tokens, as in `[mix]`; absent means as before."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Phase:
    """A phase with everything that holds in it; weights of None are those of `[mix]`."""

    from_tokens: int
    seq_len: int
    weights: dict[str, float] | None


class TrainConfig(Section):
    """`[train]`."""

    seq_len: int = Field(ge=8)
    """Tokens in one sequence."""
    global_batch_tokens: Tokens
    """Tokens per optimizer step, over all ranks and microbatches."""
    total_tokens: Tokens
    """Rounded down to whole steps."""
    packing: Literal["concat", "best_fit"] = "concat"
    """How documents fill sequences: end to end and cut where a sequence ends, or so that only those
    longer than a sequence are cut, at the price of some padding (arXiv 2404.10830)."""
    document_mask: bool = True
    """Attention never looks across the border between two documents in a sequence."""
    precision: Literal["auto", "fp32", "bf16", "float8"] = "auto"
    """Of matrix products; weights and optimizer stay in fp32. "auto" is bf16 on a GPU and fp32 on a
    CPU, most of which multiply bf16 many times more slowly."""
    z_loss: float = Field(default=0.0, ge=0)
    """Weight of log(Z)^2, Z the denominator of the softmax over the vocabulary, which keeps logits
    from drifting; PaLM's is 1e-4. Part of what is minimised, not of the losses reported."""
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of every label that goes to all tokens alike. Not part of the losses reported."""
    batch_ramp: BatchRampConfig | None = None
    phase: Annotated[tuple[PhaseConfig, ...], Field(strict=False)] = ()
    optimizer: OptimizerConfig = OptimizerConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    ema: EmaConfig | None = None
    routing: RoutingConfig = RoutingConfig()
    guard: GuardConfig = GuardConfig()
    checkpoint: CheckpointConfig = CheckpointConfig()
    evaluate: EvaluateConfig = EvaluateConfig()

    @property
    def phases(self) -> tuple[Phase, ...]:
        """All phases in order, the first one from token 0, gaps filled from the one before."""
        phases = [Phase(from_tokens=0, seq_len=self.seq_len, weights=None)]
        for each in sorted(self.phase, key=lambda phase: phase.from_tokens):
            phases.append(
                Phase(
                    from_tokens=each.from_tokens,
                    seq_len=each.seq_len or phases[-1].seq_len,
                    weights=phases[-1].weights if each.weights is None else each.weights,
                )
            )
        return tuple(phases)

    def ramp_batches(self) -> tuple[tuple[int, int], ...]:
        """(from so many tokens, batch in tokens) as the batch grows, evenly over the ramp."""
        if self.batch_ramp is None:
            return ((0, self.global_batch_tokens),)
        ramp = self.batch_ramp
        sizes = range(ramp.start_tokens, self.global_batch_tokens, ramp.increment_tokens)
        batches = [
            (index * ramp.over_tokens // len(sizes), size) for index, size in enumerate(sizes)
        ]
        return (*batches, (ramp.over_tokens if batches else 0, self.global_batch_tokens))

    def batch_tokens_at(self, tokens_seen: int) -> int:
        """Tokens of a batch that begins after `tokens_seen` tokens."""
        return [size for begin, size in self.ramp_batches() if begin <= tokens_seen][-1]


class DiagnoseConfig(Section):
    """`[diagnose]`: the final measurement that the verdict rests on."""

    tokens_per_source: Tokens = 262144
    """Tokens of train and of held-out text that are measured, per source."""
    bootstrap_samples: int = Field(default=1000, ge=100, le=100_000)


class ReportConfig(Section):
    """`[report]`."""

    samples_per_rule: int = Field(default=3, ge=0, le=20)
    """Dropped documents shown for each rule and source."""
    price_per_hour: float | None = Field(default=None, ge=0)
    """USD per hour of the machine, for the cost; absent means hours are shown, no money."""
