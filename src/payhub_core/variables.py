"""Variables: the names by which the environment and secret files set something; one that sets nothing is an error."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from payhub_core.errors import ConfigError, did_you_mean

__all__ = ["PREFIX", "key_hint", "secret_files", "set_by"]

PREFIX = "PAYHUB_"
#: How many parts a name has, by the first of them. What is below an account's setting is for its provider to judge.
_PARTS = {"default": 1, "ledger": 1, "recorder": 1, "routes": 2, "accounts": 3, "secrets_dir": 1}
_FORMS = (
    f"write {PREFIX}ACCOUNTS__SHOP__SECRET, two underscores between the parts, for the secret of [accounts.shop]; "
    f"the others are {PREFIX}DEFAULT, {PREFIX}LEDGER, {PREFIX}RECORDER and {PREFIX}ROUTES__ANY; "
    "a secret file has such a name in lower case"
)
#: What Kubernetes and Docker put into the environment of every container beside a service named payhub or payhub-*.
_OF_A_SERVICE = re.compile(r"PAYHUB_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_[0-9]+_(TCP|UDP|SCTP)(_\w+)?)?)")


def set_by(variables: Iterable[str], folder: Path | None) -> dict[str, str]:
    """The variable or secret file that sets each key, such as ``accounts.shop.secret``; raises ConfigError."""
    files = {} if folder is None else secret_files(folder)
    found = {_key(name, f"the secret file {file}"): str(file) for name, file in files.items()}
    own = [name for name in variables if name.upper().startswith(PREFIX) and not _OF_A_SERVICE.fullmatch(name)]
    _check_once(files, "secret files")
    _check_once(own, "environment variables")
    for name in own:
        found[_key(name, f"the environment variable {name}")] = name  # which wins over a secret file
    return found


def _check_once(names: Iterable[str], called: str) -> None:
    """Raises ConfigError for two ``names`` of one setting: which of them counts would depend on their sequence."""
    spelt: dict[str, str] = {}
    for name in names:
        other = spelt.setdefault(name.lower(), name)
        if other != name:
            raise ConfigError(f"the {called} {other} and {name} set the same", hint="keep one of them")


def secret_files(folder: Path) -> dict[str, Path]:
    """The files below ``folder`` whose names are payhub's; other programs' may lie beside them."""
    files = {str(file.relative_to(folder)): file for file in folder.rglob("*") if file.is_file()}
    return {name: file for name, file in files.items() if name.upper().startswith(PREFIX)}


def key_hint(word: str) -> str:
    """What to write in place of ``word``, which is no key of a configuration."""
    known = set(_PARTS) - {"secrets_dir"}
    others = f"an account is a table of its own, as [accounts.shop]; known are: {', '.join(sorted(known))}"
    return did_you_mean(word, known, others)


def _key(name: str, called: str) -> str:
    first, *others = name.lower().removeprefix(PREFIX.lower()).split("__")
    needed, count = _PARTS.get(first), 1 + len(others)
    if needed is None or not all(others) or count < needed or (count > needed and first != "accounts"):
        split = needed is not None or first.startswith(("_", "accounts_", "routes_"))
        hint = _FORMS if split else did_you_mean(first, set(_PARTS), _FORMS)
        raise ConfigError(f"{called} names no setting", hint=hint)
    return ".".join([first, *others[:2]])
