"""The files that a configuration names: whether they are there, can be read, and hold what they are to hold."""

import errno
import ssl
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from autoscaler.api.address import ApiError, check_certificate
from autoscaler.api.tokens import TokensError, read_tokens
from autoscaler.config.document import Location, dotted, place, read_document
from autoscaler.config.load import Loaded
from autoscaler.config.schema import Config, PrometheusSection
from autoscaler.sources.access import secret

# systemd puts there what LoadCredential names, while the service runs.
_CREDENTIALS = Path("/run/credentials")

_PAIR: tuple[Location, Location] = (("api", "tls_cert_file"), ("api", "tls_key_file"))


class NamedFiles:
    """Those of one configuration that are used: a section that is switched off names none."""

    def __init__(self, path: Path, loaded: Loaded) -> None:
        self._path = path
        self._document = read_document(path)
        self._config = loaded.config

    def problems(self) -> Iterator[str]:
        """What keeps the controller from using one of them, by the configuration's file, line and key."""
        good = set()
        for location, file, read in _files(self._config):
            why = _why_unusable(file, read)
            if why is None:
                good.add(location)
            else:
                yield self._told(location, why)
        if good.issuperset(_PAIR):
            try:
                check_certificate(self._config.api)
            except ApiError as error:
                yield f"{place(self._path, self._document, _PAIR[0])}: {error}"

    def warnings(self) -> Iterator[str]:
        """What is no mistake, but perhaps not yet as it is to be; to be asked where there are no problems."""
        api = self._config.api
        if api.listen is not None and not read_tokens(api.tokens_file) and api.grafana_secret_file is None:
            why = f"{api.tokens_file} has no token, so that nobody can use the API yet: see autoscaler token add --help"
            yield self._told(("api", "tokens_file"), why)

    def _told(self, location: Location, why: str) -> str:
        return f"{place(self._path, self._document, location)}: {dotted(location)}: {why}"


def _files(config: Config) -> Iterator[tuple[Location, Path, Callable[[Path], object]]]:
    """Where each of them is named, and how it is read."""
    source, store, grafana, api = config.source, config.store, config.grafana, config.api
    named: list[tuple[Location, Path | None, Callable[[Path], object]]] = [
        (("store", "password_file"), store.password_file, secret),
        (("grafana", "token_file"), grafana.token_file, secret),
        (("grafana", "ca_file"), grafana.ca_file, _certificates),
    ]
    if isinstance(source, PrometheusSection):
        named += [
            (("source", "password_file"), source.password_file, secret),
            (("source", "bearer_token_file"), source.bearer_token_file, secret),
            (("source", "ca_file"), source.ca_file, _certificates),
        ]
    if api.listen is not None:
        named += [
            (("api", "grafana_secret_file"), api.grafana_secret_file, secret),
            (_PAIR[0], api.tls_cert_file, Path.read_bytes),
            (_PAIR[1], api.tls_key_file, Path.read_bytes),
            (("api", "tokens_file"), api.tokens_file, _tokens),
        ]
    for location, file, read in named:
        if file is not None and not file.is_relative_to(_CREDENTIALS):
            yield location, file, read


def _certificates(file: Path) -> None:
    file.open("rb").close()
    ssl.create_default_context(cafile=file)


def _tokens(file: Path) -> None:
    # Before the first token is added there is none.
    with suppress(FileNotFoundError):
        file.open("rb").close()
        read_tokens(file)


def _why_unusable(file: Path, read: Callable[[Path], object]) -> str | None:
    try:
        read(file)
    except ssl.SSLError:
        return f"{file} holds no certificate"
    except TokensError as error:
        return str(error)
    except OSError as error:
        if error.errno == errno.EINVAL:
            return f"{file} {error.strerror}"
        return f"{file} cannot be read: {error.strerror}{_advice(error)}"
    return None


def _advice(error: OSError) -> str:
    match error:
        case FileNotFoundError():
            return "; put it there, or name another"
        case PermissionError():
            return "; let the controller's user read it, and run this as that user"
        case _:
            return ""
