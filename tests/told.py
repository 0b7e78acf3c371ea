"""A configuration to make mistakes in, and what is said of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from payhub_core import ConfigError, load_accounts, load_config

FILE = """default = "shop"
[accounts.shop]
provider = "gpu"
base_url = "https://gateway.example"
appid = "gpu10000000"
secret = "canary-of-the-file-000001"
"""
NO_SECRET = "".join(FILE.splitlines(keepends=True)[:-1])
SECRET = "PAYHUB_ACCOUNTS__SHOP__SECRET"
SECRET_FILE = SECRET.lower()
WRAPPED = (
    "expected the secret itself, not one in quotes or brackets; several are a list, in a variable as JSON: "
    '["new", "old"]'
)
MISSING = (
    "[account shop] secret: is missing. Hint: set secret in [accounts.shop]; a secret belongs into "
    f"{SECRET} in the environment, or into a secret file named {SECRET_FILE}"
)


def told(here: Path, path: Any = "payhub.toml", secrets: str | None = None) -> str:
    """What is said of the configuration, HERE being the folder; never a value of it."""
    with pytest.raises(ConfigError) as error:
        load_accounts(load_config(path, secrets_dir=secrets))
    assert "canary" not in str(error.value)
    return str(error.value).replace(str(here), "HERE")
