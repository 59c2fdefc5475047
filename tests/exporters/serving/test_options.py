"""What the options of the exporters' commands take and refuse."""

import click
import pytest

from exporters.serving import Address, parse_address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:9611", Address("127.0.0.1", 9611)),
        ("[::1]:9611", Address("::1", 9611)),
        ("proof-master:0", Address("proof-master", 0)),
    ],
)
def test_an_address_reads_as_it_is_written(text: str, address: Address) -> None:
    assert parse_address(text) == address
    assert str(address) == text


@pytest.mark.parametrize(
    "text", ["", "9611", ":9611", "localhost:", "localhost:http", "localhost:65536", "a:-1", "a:²"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match=r"is not ADDR:PORT, for example 127\.0\.0\.1:9611"):
        parse_address(text)
