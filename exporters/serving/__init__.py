"""What all exporters share: how a source is read within a deadline, the options of the commands, and the web server."""

from exporters.serving.collector import SourceCollector
from exporters.serving.options import Address, Seconds, Serving, parse_address, require, serving_options, timeout_option
from exporters.serving.serve import cannot_listen, serve
from exporters.serving.source import Source, SourceUnavailable

__all__ = [
    "Address",
    "Seconds",
    "Serving",
    "Source",
    "SourceCollector",
    "SourceUnavailable",
    "cannot_listen",
    "parse_address",
    "require",
    "serve",
    "serving_options",
    "timeout_option",
]
