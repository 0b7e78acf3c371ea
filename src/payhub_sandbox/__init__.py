"""The platform's side of the protocol: a real local gateway that moves no money, and breaks on demand.

Needs the extra: ``pip install 'payhub-core[sandbox]'``.
"""

from importlib.util import find_spec

from payhub_sandbox.process import SandboxProcess
from payhub_sandbox.settings import PUBLIC_MERCHANTS, Merchant, Settings

__all__ = ["PUBLIC_MERCHANTS", "Merchant", "SandboxProcess", "Settings"]

# Looked for, not imported: a gateway runs in a process of its own, whose failure would be a traceback.
for _name in ("uvicorn", "starlette", "jinja2", "segno", "sqlalchemy"):
    if find_spec(_name) is None:
        raise ModuleNotFoundError(f"{_name} is not installed: pip install 'payhub-core[sandbox]'", name=_name)
