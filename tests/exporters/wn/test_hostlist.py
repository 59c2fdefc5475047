"""Slurm's lists of hosts."""

import pytest

from exporters.wn.hostlist import MOST_HOSTS, BadHostlist, expand_hostlist


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        ("", []),
        ("wn01", ["wn01"]),
        ("wn01,gpu-2.site", ["wn01", "gpu-2.site"]),
        ("wn[01-04,7]", ["wn01", "wn02", "wn03", "wn04", "wn7"]),
        ("wn[8-11]", ["wn8", "wn9", "wn10", "wn11"]),
        ("wn[098-101]", ["wn098", "wn099", "wn100", "wn101"]),
        ("wn[1-2],gpu1,x[3]", ["wn1", "wn2", "gpu1", "x3"]),
        ("wn[1-2]-ib", ["wn1-ib", "wn2-ib"]),
        ("r[1-2]n[01-02]", ["r1n01", "r1n02", "r2n01", "r2n02"]),
    ],
)
def test_a_list_is_expanded_as_scontrol_show_hostnames_does(text: str, hosts: list[str]) -> None:
    assert expand_hostlist(text) == hosts


@pytest.mark.parametrize(
    "text", [",", "a,", ",a", "a,,b", "wn[", "wn]", "wn[]", "wn[a]", "wn[1-]", "wn[2-1]", "wn[[1]]", "a b", "wn[1,,2]"]
)
def test_what_is_no_list_is_refused(text: str) -> None:
    with pytest.raises(BadHostlist):
        expand_hostlist(text)


def test_as_many_hosts_as_slurm_allows_are_expanded() -> None:
    assert len(expand_hostlist(f"wn[1-{MOST_HOSTS}]")) == MOST_HOSTS


@pytest.mark.parametrize(
    "text",
    ["wn[0-99999999999]", f"a,wn[1-{MOST_HOSTS}]", "a[1-300]b[1-300]", "a" + "[1-9]" * 40, "wn[1-40000,1-40000]"],
)
def test_more_hosts_than_slurm_allows_are_refused_without_being_walked(text: str) -> None:
    with pytest.raises(BadHostlist):
        expand_hostlist(text)
