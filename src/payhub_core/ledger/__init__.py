"""The ledger: payments kept durably. Needs the extra: ``pip install 'payhub-core[ledger]'``."""

from payhub_core.errors import ConfigError

try:
    from payhub_core.ledger.facts import Anomaly, AnomalyKind
    from payhub_core.ledger.ledger import Ledger
    from payhub_core.ledger.models import Creation, Observation, StoredPayment, Transition
except ImportError as _missing:
    raise ConfigError(
        f"the ledger needs {_missing.name}, which is not installed", hint="pip install 'payhub-core[ledger]'"
    ) from _missing

__all__ = ["Anomaly", "AnomalyKind", "Creation", "Ledger", "Observation", "StoredPayment", "Transition"]
