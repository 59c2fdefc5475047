"""Who may read, and over what: the web configuration file of Prometheus' own exporters.

https://prometheus.io/docs/prometheus/latest/configuration/https/ has the format; ``promtool check web-config`` checks
it. Of its keys, those are taken that Python's TLS can honour; any other one is an error, since half an access rule is
none.
"""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Self

import bcrypt
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError


class BadWebConfig(ValueError):  # noqa: N818 - named after what it is about
    """The file cannot be used; the text says which file, which key and why."""


class TlsServer(BaseModel):
    """The section ``tls_server_config``; paths are relative to the file."""

    model_config = ConfigDict(extra="forbid")

    cert_file: Path
    key_file: Path
    client_ca_file: Path | None = None
    client_auth_type: Literal["NoClientCert", "RequireAndVerifyClientCert"] = "NoClientCert"
    min_version: Literal["TLS12", "TLS13"] = "TLS12"

    @model_validator(mode="after")
    def _verifiable(self) -> Self:
        if self.client_auth_type == "RequireAndVerifyClientCert" and self.client_ca_file is None:
            raise ValueError(f"client_auth_type {self.client_auth_type} needs a client_ca_file")
        return self

    def context(self, folder: Path) -> ssl.SSLContext:
        """Return the TLS context, with the files taken from ``folder``; raises :class:`BadWebConfig`."""
        certificate, key = folder / self.cert_file, folder / self.key_file
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3 if self.min_version == "TLS13" else ssl.TLSVersion.TLSv1_2
        _readable("cert_file", certificate)
        _readable("key_file", key)
        try:
            # A pass phrase would be asked for on a terminal that a service does not have.
            context.load_cert_chain(certificate, key, password="")
        except ssl.SSLError as error:
            sentence = f"{certificate} and {key} are not a certificate and its unencrypted key in PEM"
            raise BadWebConfig(f"tls_server_config: {sentence}") from error
        if self.client_ca_file is not None:
            _load_authority(context, folder / self.client_ca_file)
        if self.client_auth_type == "RequireAndVerifyClientCert":
            context.verify_mode = ssl.CERT_REQUIRED
        return context


def _readable(key: str, file: Path) -> None:
    # Python's ssl does not name the file that it cannot open.
    try:
        file.read_bytes()
    except OSError as error:
        raise BadWebConfig(f"tls_server_config.{key}: {file}: {error.strerror}") from error


def _load_authority(context: ssl.SSLContext, file: Path) -> None:
    _readable("client_ca_file", file)
    try:
        context.load_verify_locations(file)
    except ssl.SSLError as error:
        raise BadWebConfig(f"tls_server_config.client_ca_file: {file} is not a certificate in PEM") from error


class WebConfigFile(BaseModel):
    """The whole file."""

    model_config = ConfigDict(extra="forbid")

    tls_server_config: TlsServer | None = None
    basic_auth_users: dict[str, str] = Field(default_factory=dict)

    @field_validator("basic_auth_users")
    @classmethod
    def _hashes(cls, users: dict[str, str]) -> dict[str, str]:
        for user, hashed in users.items():
            try:
                bcrypt.checkpw(b"", hashed.encode())
            except ValueError:
                sentence = f"the password of {user!r} is not a bcrypt hash (htpasswd -nBC 10 '' makes one)"
                raise ValueError(sentence) from None
        return users


@dataclass(frozen=True, slots=True)
class WebConfig:
    """Who may read, and over what: plain HTTP if ``tls`` is None; everybody if there are no ``users``.

    ``users`` are bcrypt hashes of passwords by user name.
    """

    tls: ssl.SSLContext | None = None
    users: Mapping[str, str] = field(default_factory=dict)


def load_web_config(file: Path) -> WebConfig:
    """Read ``file`` and what it names; raises :class:`BadWebConfig`."""
    try:
        document = YAML(typ="safe", pure=True).load(file)
        parsed = WebConfigFile.model_validate({} if document is None else document)
        section = parsed.tls_server_config
        tls = None if section is None else section.context(file.parent)
    except BadWebConfig as error:
        raise BadWebConfig(f"{file}: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise BadWebConfig(f"{file}: {where}: {first['msg']}") from error
    except (YAMLError, UnicodeDecodeError) as error:
        raise BadWebConfig(f"{file}: not YAML: {' '.join(str(error).split())}") from error
    except OSError as error:
        raise BadWebConfig(f"{file}: {error.strerror}") from error
    return WebConfig(tls, parsed.basic_auth_users)
