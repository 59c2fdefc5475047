"""The configuration read anew while the controller runs: taken over as a whole, or not at all."""

from collections.abc import Callable
from pathlib import Path

from autoscaler.config.load import ConfigError, Loaded, load

# What was opened at the start and is held since. ``section.key`` as in the file.
AT_START = (
    ("controller", "store"),
    ("store", "url"),
    ("store", "password_file"),
    ("controller", "interval"),
    ("controller", "notify_listen"),
    ("controller", "metrics_listen"),
    ("learning", "refit_at"),
    ("api", "listen"),
    ("api", "tokens_file"),
    ("api", "grafana_secret_file"),
    ("api", "tls_cert_file"),
    ("api", "tls_key_file"),
    ("api", "requests_per_minute"),
    ("grafana", "url"),
    ("grafana", "token_file"),
    ("grafana", "ca_file"),
)


class Reload:
    """Reads the file again and hands it to ``take_over`` when it is good; remembers what is in force."""

    def __init__(self, path: Path, loaded: Loaded, take_over: Callable[[Loaded, Loaded], None]) -> None:
        self._path = path
        self.loaded = loaded
        self._take_over = take_over

    def renew(self) -> str | None:
        """Take over what the file says now; return why it is refused. Never raises."""
        try:
            new = load(self._path)
            fixed = [f"{section}.{key}" for section, key in AT_START if self._differs(new, section, key)]
            if fixed:
                return f"{' and '.join(fixed)} cannot change while the controller runs: restart it"
            self._take_over(self.loaded, new)
        except ConfigError as error:
            return str(error)
        except Exception as error:  # noqa: BLE001 - a bad file, or a host that cannot be taken in, never ends the loop
            return f"{type(error).__name__}: {error}"
        self.loaded = new
        return None

    def _differs(self, new: Loaded, section: str, key: str) -> bool:
        before, after = (getattr(loaded.config, section) for loaded in (self.loaded, new))
        return bool(getattr(before, key) != getattr(after, key))
