"""Run file, `[cluster]`: execution only. Nothing here changes what a run produces, only how."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from bessemer.config.base import Section, Tokens

PipelineSchedule = Literal["1f1b", "interleaved", "zero-bubble", "dualpipe-v"]


def _require_url(text: str) -> str:
    if "://" not in text:
        raise ValueError("should be a URL, as in s3://bucket/tokens or file:///disk/tokens")
    return text


class EngineConfig(Section):
    """`[cluster.engine]`: who works on the shards."""

    runner: Literal["inline", "processes", "ray"] = "processes"
    """In this process; in worker processes of this machine; or on Ray, which needs `bessemer[ray]`
    and, on several machines, a root folder and sources that all of them see at the same path."""
    workers: int | None = Field(default=None, ge=1, le=65_536)
    """Tasks at once, each in a process of its own; absent means one per usable core, and on Ray one
    per CPU that the cluster has, up to 4,096."""
    address: str | None = None
    """For "ray": the cluster to join, as `ray.init` takes it (`10.0.0.1:6379`), or "local" to start
    Ray on this machine for the run. Absent means RAY_ADDRESS, else a cluster that runs on this
    machine, else "local"."""


class ClusterConfig(Section):
    """`[cluster]`."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: int | None = Field(default=None, ge=1)
    """CPU threads per rank; absent means the usable cores shared among the local ranks."""
    restarts: int = Field(default=3, ge=0)
    """How often in a row, without a new checkpoint in between, `bessemer run` starts all ranks anew
    after a fault. For ranks that torchrun started, its own --max-restarts counts."""
    hang_timeout_s: float = Field(default=600.0, ge=1)
    """Seconds without progress after which ranks are taken to hang: they put on record where each
    of them is, and end, to be started anew. Above the longest checkpoint, and compilation."""
    grace_s: float = Field(default=120.0, gt=0)
    """Seconds from a signal that asks to leave (SIGTERM, SIGUSR1, SIGINT, SIGHUP) within which the
    step at hand is finished and saved; after that the process ends as it is, with the last
    checkpoint."""
    dp_replicate: int | None = Field(default=None, ge=1)
    """Groups of ranks that hold all weights, each for other samples; absent means as many as there
    are ranks for: those that torchrun started, or one for each GPU of the machine."""
    dp_shard: int = Field(default=1, ge=1)
    """Ranks that share weights, gradients and the optimizer's state out among themselves, each for
    other samples (FSDP2); with `dp_replicate` above 1, within each group."""
    tp: int = Field(default=1, ge=1)
    """Ranks that compute the same samples, each with its part of every matrix, and of the sequence
    between matrices (tensor parallelism). They talk four times per layer: keep them on one machine.
    """
    cp: int = Field(default=1, ge=1)
    """Ranks that compute different parts of the same sequences (context parallelism): for sequences
    too long for the memory of one."""
    cp_exchange: Literal["all-gather", "ulysses"] = "all-gather"
    """What ranks along `cp` send each other in every layer: all keys and values, or queries, keys
    and values of all tokens for a part of the heads, which `cp` must divide."""
    pp: int = Field(default=1, ge=1)
    """Ranks that compute different layers, microbatch after microbatch (pipeline parallelism). They
    send little: they may be on different machines."""
    pp_schedule: PipelineSchedule = "1f1b"
    """In which order ranks along `pp` compute. All but the first cut the model into two stages per
    rank, and wait less; "zero-bubble" and "dualpipe-v" also put off the gradients of weights."""
    ep: int = Field(default=1, ge=1)
    """Of the ranks along `dp_shard`, so many neighbours share out the experts of a model, and send
    each other tokens (expert parallelism). It must divide `dp_shard`. Ranks along `tp` have
    different experts, too: `ep` x `tp` must divide the number of experts."""
    reshard: bool = True
    """With `dp_shard`: let go of a layer's gathered weights after its forward pass, and gather them
    again for the backward pass. Without it, less is sent and more is held."""
    gather: Literal["fp32", "bf16"] = "fp32"
    """With weights that are shared out: the precision in which they are gathered. "bf16" sends half
    as much and holds half as much, for `train.precision = "bf16"`. Matrix products are the same,
    but embedding, norms and routers are rounded, too. Gradients are summed in fp32."""
    offload: bool = False
    """With weights that are shared out: keep them, their gradients and the optimizer's state in the
    memory of the host, where the optimizer moves them; a GPU has what a layer needs."""
    microbatch_tokens: Tokens | None = None
    """Tokens per forward and backward pass; absent means 512 on a CPU, fewer if the model is wider
    than 160 (256 at 320), four times as many along `dp_shard`, `cp` and `tp`, and 8,192 on a GPU;
    or one sequence."""
    lanes: int | None = Field(default=None, ge=1)
    """Microbatches that a lone process computes side by side on a CPU, each on its share of the
    threads; absent means as many as share the threads evenly, at most 4. On a GPU, with `compile`
    and beside other ranks there is one, whatever is given: the same run file may serve there, too.
    """
    compile: bool = False
    """Compile every layer with torch.compile; needs a C++ compiler on a CPU."""
    recompute: Literal["none", "selective", "full"] = "none"
    """Activations that the backward pass computes anew instead of keeping: those between matrix
    products, or all of a layer."""
    profile_steps: Annotated[tuple[int, ...], Field(strict=False)] = ()
    """Steps (from 1) to trace with torch's profiler, into `<root>/metrics/profile`."""
    wandb_project: str | None = None
    """Report metrics to this Weights & Biases project too; needs `bessemer[wandb]`."""
    tokens: Annotated[str, AfterValidator(_require_url)] | None = None
    """Where training reads token shards from: a copy of the encode stage's folder in any store that
    fsspec knows (`s3://...`), or on another disk (`file:///...`); absent means that folder."""
    checkpoints: Annotated[str, AfterValidator(_require_url)] | None = None
    """Where training keeps its checkpoints, each run in a folder of its own: in any store that
    fsspec knows (`s3://...`, with `bessemer[s3]`), or on another disk (`file:///...`); absent means
    in the root folder. The same run file with a new root folder takes over what is there."""
    branch_from: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """Root folders of other runs, relative to the run file. Training goes on from their furthest
    checkpoint up to which they are the same run as this one: the same tokens in the same order at
    the same rates. Runs in the same root folder are looked at unasked."""
    engine: EngineConfig = EngineConfig()
