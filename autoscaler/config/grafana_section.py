"""Where decisions are shown as annotations."""

from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from pydantic import model_validator

from autoscaler.config.section import Section, Url


class GrafanaSection(Section):
    """The Grafana that is told of decisions; without ``url`` there is none."""

    url: Url | None = None
    token_file: Path | None = None
    ca_file: Path | None = None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.url is None:
            if self.token_file is not None or self.ca_file is not None:
                raise ValueError("url is missing")
            return self
        if self.token_file is None:
            raise ValueError("token_file is missing: Grafana takes annotations of a service account only")
        if "@" in urlsplit(self.url).netloc:
            raise ValueError("a URL with a password would be in the log: put a token into token_file")
        return self

    def beside(self, folder: Path) -> Self:
        """The section with relative paths to files in ``folder``."""
        files = {name: getattr(self, name) for name in ("token_file", "ca_file")}
        return self.model_copy(update={name: folder / file for name, file in files.items() if file is not None})
