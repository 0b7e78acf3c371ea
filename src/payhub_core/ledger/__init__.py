"""The ledger: payments kept durably. Needs the extra: ``pip install 'payhub-core[ledger]'``."""

from payhub_core.errors import ConfigError

try:
    from payhub_core.ledger.facts import Anomaly, AnomalyKind, Facts
    from payhub_core.ledger.ledger import Ledger
    from payhub_core.ledger.rows import Observation, State, StoredPayment, Transition
    from payhub_core.ledger.tables import metadata
except ImportError as _missing:
    raise ConfigError(
        f"the ledger needs {_missing.name}, which is not installed", hint="pip install 'payhub-core[ledger]'"
    ) from _missing

__all__ = [
    "Anomaly",
    "AnomalyKind",
    "Facts",
    "Ledger",
    "Observation",
    "State",
    "StoredPayment",
    "Transition",
    "metadata",
]
