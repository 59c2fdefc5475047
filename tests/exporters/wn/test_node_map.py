"""The file that says which domain a worker node is."""

from pathlib import Path

import pytest

from exporters.wn.node_map import BadNodeMap, Placed, load_node_map, node_info_metrics, parse_node_map


def test_a_line_places_a_node() -> None:
    text = "# the farm\n\nwn01  host-a vm-wn01 # first\n\twn02 host-a\tvm-wn02\n"
    assert parse_node_map(text) == (Placed("wn01", "host-a", "vm-wn01"), Placed("wn02", "host-a", "vm-wn02"))


def test_an_empty_file_places_nothing() -> None:
    assert parse_node_map("# nothing yet\n") == ()
    assert list(node_info_metrics(())) == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("wn01 host-a", "line 1: it wants three words, node host domain"),
        ("wn01 host-a vm\nwn02 host-a vm vm2", "line 2: it wants three words, node host domain"),
        ("wn01 a vm\n\nwn01 b vm", "line 3: node wn01 stands there twice"),
    ],
)
def test_a_line_that_places_nothing_or_again_is_named(text: str, reason: str) -> None:
    with pytest.raises(BadNodeMap, match=f"^{reason}$"):
        parse_node_map(text)


def test_a_mistake_in_a_file_names_the_file(tmp_path: Path) -> None:
    file = tmp_path / "nodes"
    with pytest.raises(BadNodeMap, match=r"/nodes: No such file or directory$"):
        load_node_map(file)
    file.write_text("wn01 host-a")
    with pytest.raises(BadNodeMap, match=r"/nodes: line 1: it wants three words"):
        load_node_map(file)
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(BadNodeMap, match=r"/nodes: not a text file$"):
        load_node_map(file)


def test_the_info_joins_by_node_host_and_domain() -> None:
    [family] = node_info_metrics(parse_node_map("wn01 host-a vm-wn01"))
    assert [(sample.name, sample.labels, sample.value) for sample in family.samples] == [
        ("wn_node_info", {"node": "wn01", "host": "host-a", "domain": "vm-wn01"}, 1)
    ]
