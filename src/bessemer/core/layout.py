"""Names of files and folders in the outputs of stages: what one writes and another reads."""

from __future__ import annotations

DOCUMENTS = "documents"  # ingest: text, a Parquet file per shard
FILES = "files.parquet"  # ingest: the source files
SHARD_RANGES = "shards.parquet"  # ingest: which shard holds which documents
DECISIONS = "decisions"  # ingest, and stages after it that drop, edit or note: the ledger, by shard
SIGNALS = "signals"  # signals: a Parquet file per shard
COPIES = "copies.parquet"  # exact
CLUSTERS = "clusters.parquet"  # fuzzy
PAIRS = "pairs.parquet"  # fuzzy: compared pairs, drawn for the audit
MATCHES = "matches"  # decontaminate: which items stand where, a Parquet file per shard
EVALS = "evals"  # decontaminate: holds what follows, and lists of items, clean and dirty
CONTAMINATION = "contamination.parquet"
SPLITS = "splits"  # split: a Parquet file per shard
TOKENIZER = "tokenizer.json"  # tokenizer
SHARDS = "shards.json"  # encode: the list of token shards
PACKING = "packing.parquet"  # pack: what each packing cuts and pads
PACKS = "packs.json"  # pack: the list of packed groups
PLAN = "plan.parquet"  # mix: a row per source
PHASES = "phases.parquet"  # mix: a row per phase and source
TURNS = "turns.parquet"  # mix: the order of sources, block by block
BASELINES = "baselines.json"  # baselines
CHECKPOINTS = "checkpoints"  # train
OWNER = "owner.json"  # train: that it owns its checkpoints, if they are kept elsewhere; there, too
STATE_DIGESTS = "state.json"  # train: digest of every final tensor, weights and moments
METRICS = "metrics"  # train: holds what follows, and TensorBoard's files
STEPS = "steps.jsonl"
EVALUATIONS = "evaluations.jsonl"
GUARD = "guard.jsonl"  # steps that the guard noticed
EVIDENCE = "evidence"  # what it found, a JSON file per step
PROFILES = "profile"
HANGS = "hangs"  # where each rank was when none got on, a text file per rank
DIAGNOSIS = "diagnosis.json"  # diagnose
MODEL = "model"  # export: the Hugging Face folder
PARITY = "parity.json"  # export
REPORT = "report.html"  # report
AUDIT = "audit.html"  # in the root folder, by `bessemer audit`
RUN_RECORD = "run.json"  # in the root folder: what the run was asked for
