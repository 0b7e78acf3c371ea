"""The ledger: payments kept durably. Needs the extra: ``pip install 'payhub-core[ledger]'``."""

from payhub_core.errors import ConfigError, plain
from payhub_core.findings import Finding

try:
    from payhub_core.ledger.facts import Anomaly, AnomalyKind
    from payhub_core.ledger.health import AccountHealth, Health
    from payhub_core.ledger.ledger import Ledger
    from payhub_core.ledger.models import Creation, Observation, StoredAnomaly, StoredPayment, Total, Transition
except ImportError as _missing:
    _reason = f"{_missing.name} is not installed" if _missing.name else plain(_missing, 160)
    raise ConfigError(f"the ledger cannot be used: {_reason}", hint="pip install 'payhub-core[ledger]'") from _missing

__all__ = [
    "AccountHealth",
    "Anomaly",
    "AnomalyKind",
    "Creation",
    "Finding",
    "Health",
    "Ledger",
    "Observation",
    "StoredAnomaly",
    "StoredPayment",
    "Total",
    "Transition",
]
