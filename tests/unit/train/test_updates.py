"""The update norm against the whole difference, and signals that are noticed."""

from __future__ import annotations

import os
import signal
import time

import pytest
import torch

from bessemer.train.interrupt import noticed
from bessemer.train.updates import UpdateProbe


def test_small_tensors_are_measured_exactly() -> None:
    generator = torch.Generator().manual_seed(0)
    tensors = [torch.randn(shape, generator=generator) for shape in ((3, 5), (7,), (128, 128))]
    steps = [torch.randn(tensor.shape, generator=generator) for tensor in tensors]
    probe = UpdateProbe(tensors)
    probe.remember()
    for tensor, step in zip(tensors, steps, strict=True):
        tensor += step
    expected = sum(float(step.double().square().sum()) for step in steps)
    # The difference of two float32 numbers is off by their rounding.
    assert float(probe.squared_norm()) == pytest.approx(expected, rel=1e-5)


def test_a_large_tensor_is_estimated_from_samples() -> None:
    generator = torch.Generator().manual_seed(0)
    tensor = torch.zeros(512, 1024)
    step = torch.randn(tensor.shape, generator=generator)
    step[:, ::2] *= 3  # a sample that met only some columns would be far off
    probe = UpdateProbe([tensor])
    probe.remember()
    tensor += step
    expected = float(step.double().square().sum())
    # The mean of 16 thousand squares: its standard error is about 1.3 %.
    assert float(probe.squared_norm()) == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_is_noticed_once_and_handlers_come_back(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with noticed(grace_s=60.0) as interruption:
        assert not interruption.is_asked
        os.kill(os.getpid(), number)
        deadline = time.monotonic() + 30  # a thread of its own listens
        while not interruption.is_asked and time.monotonic() < deadline:
            time.sleep(0.01)
        assert interruption.signal_name == number.name
    assert signal.getsignal(number) is before
