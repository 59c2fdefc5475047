"""Who may read, and over what: the web configuration file of Prometheus' own exporters.

https://prometheus.io/docs/prometheus/latest/configuration/https/ has the format; ``promtool check web-config`` checks
it. Of its keys, those are taken that Python's TLS can honour; any other one is an error, since half an access rule is
none.
"""

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import bcrypt
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError


class BadWebConfig(ValueError):  # noqa: N818 - named after what it is about
    """The file cannot be used; the text says which file, which key and why."""


class TlsServer(BaseModel):
    """The section ``tls_server_config``; paths are relative to the file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    cert_file: Path
    key_file: Path
    client_ca_file: Path | None = None
    client_auth_type: Literal["NoClientCert", "RequireAndVerifyClientCert"] = "NoClientCert"
    min_version: Literal["TLS12", "TLS13"] = "TLS12"


class WebConfig(BaseModel):
    """The whole file: TLS unless None, and bcrypt hashes of passwords by user; no users = no authentication."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tls_server_config: TlsServer | None = None
    basic_auth_users: Mapping[str, str] = Field(default_factory=dict)

    @field_validator("basic_auth_users")
    @classmethod
    def _hashes(cls, users: Mapping[str, str]) -> Mapping[str, str]:
        for user, hashed in users.items():
            try:
                bcrypt.checkpw(b"", hashed.encode())
            except ValueError:
                raise ValueError(
                    f"the password of {user!r} is not a bcrypt hash (htpasswd -nBC 10 '' makes one)"
                ) from None
        return users

    def tls(self) -> ssl.SSLContext | None:
        """Return the TLS context, None for plain HTTP; raises :class:`OSError` for files that cannot be loaded."""
        section = self.tls_server_config
        if section is None:
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3 if section.min_version == "TLS13" else ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(section.cert_file, section.key_file)
        if section.client_ca_file is not None:
            context.load_verify_locations(section.client_ca_file)
        if section.client_auth_type == "RequireAndVerifyClientCert":
            context.verify_mode = ssl.CERT_REQUIRED
        return context


def load_web_config(file: Path) -> WebConfig:
    """Read ``file``; raises :class:`BadWebConfig`."""
    try:
        document = YAML(typ="safe", pure=True).load(file)
        config = WebConfig.model_validate({} if document is None else document)
        config = _beside(config, file.parent)
        config.tls()
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise BadWebConfig(f"{file}: {where}: {first['msg']}") from error
    except YAMLError as error:
        raise BadWebConfig(f"{file}: not YAML: {' '.join(str(error).split())}") from error
    except UnicodeDecodeError as error:
        raise BadWebConfig(f"{file}: not a text file") from error
    except OSError as error:
        # ssl.SSLError is one, and names no file.
        raise BadWebConfig(f"{file}: {error.filename or 'tls_server_config'}: {error.strerror or error}") from error
    return config


def _beside(config: WebConfig, folder: Path) -> WebConfig:
    section = config.tls_server_config
    if section is None:
        return config
    paths = {
        name: folder / path for name in ("cert_file", "key_file", "client_ca_file") if (path := getattr(section, name))
    }
    return config.model_copy(update={"tls_server_config": section.model_copy(update=paths)})
