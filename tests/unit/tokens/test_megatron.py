"""megatron-core's own IndexedDataset reads our shards: types, lengths, documents, every token."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np

from bessemer.tokens.shard import write_shard

READ = """
import json, sys
from megatron.core.datasets.indexed_dataset import IndexedDataset
found = []
for prefix in sys.argv[1:]:
    data = IndexedDataset(prefix)
    found.append({
        "dtype": str(data.index.dtype.__name__),
        "sequence_lengths": data.sequence_lengths.tolist(),
        "document_indices": data.document_indices.tolist(),
        "sequences": [data[n].tolist() for n in range(len(data))],
        "part": data.get(1, offset=2, length=3).tolist(),
    })
print(json.dumps(found))
"""


def test_megatrons_class_reads_what_is_written(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    expected = []
    for vocab_size, dtype in ((65_536, "uint16"), (200_000, "int32")):
        documents = [rng.integers(0, vocab_size, length) for length in (3, 9, 1, 5000)]
        documents[0][0] = vocab_size - 1
        prefix = tmp_path / str(vocab_size)
        write_shard(prefix, documents, range(4), [0] * 4, vocab_size)
        expected.append(
            {
                "dtype": dtype,
                "sequence_lengths": [3, 9, 1, 5000],
                "document_indices": [0, 1, 2, 3, 4],
                "sequences": [ids.tolist() for ids in documents],
                "part": documents[1][2:5].tolist(),
            }
        )
    # In a process of its own: importing megatron-core warns of what it would like to have.
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", READ, tmp_path / "65536", tmp_path / "200000"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == expected
