"""One account at the gateway."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from payhub_gpu import Gpu


@pytest.fixture(scope="session")
def make_gpu(settings: dict[str, Any]) -> Callable[..., Gpu]:
    def make(**changes: Any) -> Gpu:
        values = {name: value for name, value in {**settings, **changes}.items() if name != "provider"}
        return Gpu(**values)

    return make


@pytest.fixture(scope="session")
def gpu(make_gpu: Callable[..., Gpu]) -> Gpu:
    return make_gpu()
