"""`python -m payhub_gpu.sandbox`: the same as `payhub sandbox`."""

from payhub_gpu.sandbox.commands import sandbox

sandbox(prog_name="payhub sandbox")
