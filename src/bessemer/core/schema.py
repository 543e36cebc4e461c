"""The tables that stages exchange: one Arrow schema each, units in the names.

Documents are immutable after ingest; every other table refers to them by `doc_id` and is cut
into shards of the same doc_id ranges, so that shard k of any table goes with shard k of any other.
"""

from __future__ import annotations

import pyarrow as pa

SCHEMA_VERSION = 3

SOURCE_FILE = pa.schema(
    [
        ("file_id", pa.int32()),
        ("source", pa.string()),
        ("path", pa.string()),
        ("size_bytes", pa.int64()),
        ("digest", pa.string()),  # xxh3-128 of the file as stored
        ("num_rows", pa.int64()),  # documents found in it, quarantined ones included
        ("license", pa.string()),
    ]
)

SHARD_RANGE = pa.schema(  # a row per shard; ascending, and no two share an id
    [
        ("shard", pa.int32()),
        ("source", pa.string()),
        ("first_doc_id", pa.int64()),  # of the rows in it, quarantined ones included
        ("last_doc_id", pa.int64()),  # one less than the first if there is none
    ]
)

DOCUMENT = pa.schema(
    [
        ("doc_id", pa.int64()),
        ("text", pa.large_string()),
        ("content_hash", pa.binary(16)),  # xxh3-128 of the text's UTF-8 bytes, big-endian
        ("num_bytes", pa.int64()),  # of the text in UTF-8
        ("raw_bytes", pa.int64()),  # of the row as it was stored, container aside
        ("source", pa.string()),
        ("url", pa.string()),
        ("metadata", pa.string()),  # JSON object
    ]
)

DROP, EDIT, QUARANTINE = "drop", "edit", "quarantine"
NOTE = "note"  # found and told, and nothing is changed

DECISION = pa.schema(
    [
        ("doc_id", pa.int64()),
        ("source", pa.string()),
        ("stage", pa.string()),
        ("rule", pa.string()),
        ("action", pa.string()),  # drop | edit | quarantine | note
        ("decisive", pa.bool_()),  # the one row per lost document that the sums count
        ("value", pa.float64()),  # the signal that was measured
        ("bound", pa.float64()),  # the bound that it broke
        ("num_bytes", pa.int64()),  # lost by this decision: the document, or the edited spans
        ("inserted_bytes", pa.int64()),  # of what an edit at ingest put in the place of those
        ("evidence_doc_id", pa.int64()),  # the duplicate that was kept
        ("evidence", pa.string()),  # an error message, or the text that was cut (its beginning)
        (
            # Byte ranges of an edit: at ingest of the text as the rows before left it, and made
            # already (null for line ends, and if they are too many to list);
            # in later stages of the document's text, and cut or replaced when it is encoded.
            "spans",
            pa.list_(
                pa.struct(
                    [
                        ("start_byte", pa.int64()),
                        ("end_byte", pa.int64()),
                        ("replacement", pa.string()),  # null: nothing stands in its place
                    ]
                )
            ),
        ),
    ]
)

COPY_COUNT = pa.schema(  # a row per document that was kept of several with the same text
    [
        ("doc_id", pa.int64()),
        ("num_copies", pa.int32()),  # documents with its text, itself included
    ]
)

CLUSTER = pa.schema(
    [
        ("doc_id", pa.int64()),
        ("cluster_id", pa.int64()),  # the smallest doc_id of the cluster
        ("cluster_docs", pa.int32()),
        ("is_keeper", pa.bool_()),
    ]
)

PAIR = pa.schema(  # documents that were compared; of all, some of each band of similarity
    [
        ("left", pa.int64()),
        ("right", pa.int64()),
        ("similarity", pa.float64()),
        ("is_duplicate", pa.bool_()),
        ("known", pa.string()),  # `left` in words, if it is a document of another run
    ]
)

MATCH = pa.schema(  # a part of an item of an evaluation set, found in a document
    [
        ("doc_id", pa.int64()),
        ("source", pa.string()),
        ("benchmark", pa.string()),
        ("row", pa.int64()),  # of the item in its benchmark
        ("item_id", pa.string()),
        ("part", pa.string()),  # question | choices | answer | passage
        ("overlap_frac", pa.float64()),  # of the part's n-grams, those in the document
        ("start_byte", pa.int64()),  # of the document's text: its longest stretch
        ("end_byte", pa.int64()),
    ]
)

CLEAN, DIRTY, UNTESTABLE = "clean", "dirty", "untestable"

CONTAMINATION = pa.schema(  # a row per item of an evaluation set
    [
        ("benchmark", pa.string()),
        ("row", pa.int64()),
        ("item_id", pa.string()),
        ("status", pa.string()),  # clean | dirty | untestable
        ("part", pa.string()),  # by which it is dirty: the first of the four that is found
        ("overlap_frac", pa.float64()),  # of that part; else the most that was seen of any
        ("doc_id", pa.int64()),  # the document that holds it; null if none holds any of it
        # The most that one document holds of each part; null: it is not tested.
        ("question_frac", pa.float64()),
        ("choices_frac", pa.float64()),
        ("answer_frac", pa.float64()),
        ("passage_frac", pa.float64()),
        ("docs", pa.int64()),  # that hold it by another part than its passage
        ("answered_docs", pa.int64()),  # that hold its question and its answer
        ("passage_docs", pa.int64()),  # that hold its passage
        ("docs_left", pa.int64()),  # that hold any of it and are neither dropped nor cut for it
        ("sources", pa.list_(pa.string())),  # of all of these
        ("why_not", pa.string()),  # what keeps parts from being tested, as in "answer: short"
    ]
)

TRAIN, HELDOUT = "train", "heldout"
SIDES = (TRAIN, HELDOUT)

SPLIT = pa.schema(
    [
        ("doc_id", pa.int64()),
        ("source", pa.string()),
        ("cluster_id", pa.int64()),
        ("split", pa.string()),  # train | heldout
        ("num_bytes", pa.int64()),
    ]
)

TOKEN_DOCS = pa.schema(
    [
        ("doc_id", pa.int64()),
        ("token_start", pa.int64()),  # within the shard's .bin
        ("num_tokens", pa.int32()),  # begin and end tokens included
        ("num_bytes", pa.int64()),
    ]
)

PACKING_COST = pa.schema(  # of one epoch; a row per source, packing and sequence length
    [
        ("source", pa.string()),
        ("packing", pa.string()),  # concat | best_fit
        ("seq_len", pa.int64()),
        ("docs", pa.int64()),
        ("cut_docs", pa.int64()),  # whose predictions are not all in one sample
        ("samples", pa.int64()),
        ("padded_tokens", pa.int64()),  # places that hold no token
        ("unlabelled_tokens", pa.int64()),  # places whose token predicts nothing
        ("wrapped_tokens", pa.int64()),  # read once more to fill the last sample
    ]
)

MIX_PLAN = pa.schema(
    [
        ("source", pa.string()),
        ("weight", pa.float64()),  # share of the run's tokens that was asked for
        ("available_tokens", pa.int64()),
        ("planned_samples", pa.int64()),
        ("planned_tokens", pa.int64()),  # places in those samples, padding included
        ("padded_tokens", pa.int64()),  # places that hold no token
        ("wrapped_tokens", pa.int64()),  # read once more to fill the last chunk of an epoch
        ("skipped_tokens", pa.int64()),  # not read in their epoch: the sequence length changed
        ("epochs", pa.float64()),  # how often a token is read on average
        ("effective_tokens", pa.float64()),
    ]
)

MIX_PHASE = pa.schema(  # one row per phase and source
    [
        ("phase", pa.int32()),
        ("packing", pa.string()),
        ("seq_len", pa.int64()),
        ("first_sample", pa.int64()),
        ("source", pa.string()),
        ("weight", pa.float64()),
        ("share_units", pa.int64()),  # the weight as the order of sources goes by it
        ("planned_samples", pa.int64()),
        ("first_position", pa.int64()),  # tokens of the source gone through before the phase
        ("skipped_tokens", pa.int64()),  # of those, the ones skipped as the phase begins
        ("padded_tokens", pa.int64()),
        ("wrapped_tokens", pa.int64()),
    ]
)

MIX_TURNS = pa.schema(  # one row per block of samples, see tokens/interleave.py
    [
        ("phase", pa.int32()),
        ("turns", pa.list_(pa.int64())),  # samples of each source before the block, in the phase
    ]
)
