"""Training begins with the weights of a Hugging Face folder if it is told to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from bessemer.model.hugging_face import write_weights
from bessemer.model.initialize import initialize
from bessemer.model.transformer import Decoder
from bessemer.train.job import TrainingJob
from bessemer.train.launch import Launch
from bessemer.train.mesh import process_group
from bessemer.train.trainer import Trainer


def test_training_begins_with_the_weights_it_is_given(
    make_job: Callable[..., TrainingJob], tmp_path: Path
) -> None:
    job = make_job()
    given = Decoder(job.model, 320)
    initialize(given, 99)
    (tmp_path / "given").mkdir()
    write_weights(tmp_path / "given", given, {})
    rows = job.model.model_copy(update={"vocab_rows": 320})
    with process_group(job.cluster, Launch(), torch.device("cpu")):
        started = Trainer(replace(job, model=rows, init_from=tmp_path / "given"), Launch())
        plain = Trainer(job, Launch())
    for (name, wanted), ours in zip(
        given.named_parameters(), started.learner.decoder.parameters(), strict=True
    ):
        assert torch.equal(wanted, ours), name
    assert not torch.equal(
        plain.learner.decoder.layers[0].mlp.up_proj.weight,
        started.learner.decoder.layers[0].mlp.up_proj.weight,
    )
