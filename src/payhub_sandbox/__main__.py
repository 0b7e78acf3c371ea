"""``python -m payhub_sandbox``: the same as ``payhub sandbox``."""

from payhub_sandbox.command import sandbox

sandbox(prog_name="payhub sandbox")
