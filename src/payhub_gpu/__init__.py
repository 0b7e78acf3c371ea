"""The gateway's plugin for payhub."""

from payhub_gpu.provider import Gpu

__all__ = ["Gpu"]
