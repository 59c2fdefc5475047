"""The section ``api``: where the HTTP API listens, and who may use it."""

from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from autoscaler.config.section import Address, PositiveDuration, Section


def _loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


class ApiSection(Section):
    """The HTTP API; without ``listen`` there is none."""

    listen: Address | None = None
    tokens_file: Path = Path("/var/lib/vaf-autoscaler/api-tokens")
    grafana_secret_file: Path | None = None
    tls_cert_file: Path | None = None
    tls_key_file: Path | None = None
    requests_per_minute: Annotated[int, Field(ge=1, strict=True)] = 60
    session_for: PositiveDuration = timedelta(minutes=5)

    @model_validator(mode="after")
    def _safe(self) -> Self:
        if (self.tls_cert_file is None) != (self.tls_key_file is None):
            raise ValueError("tls_cert_file and tls_key_file go together")
        if self.listen is not None and self.tls_cert_file is None and not _loopback(self.listen[0]):
            raise ValueError("without tls_cert_file and tls_key_file it listens on the loopback only: 127.0.0.1")
        return self

    def beside(self, folder: Path) -> Self:
        """The section with relative paths to files in ``folder``."""
        names = ("tokens_file", "grafana_secret_file", "tls_cert_file", "tls_key_file")
        files = {name: getattr(self, name) for name in names}
        return self.model_copy(update={name: folder / file for name, file in files.items() if file is not None})
