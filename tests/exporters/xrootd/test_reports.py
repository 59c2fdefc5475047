"""The format of the summary reports."""

import pytest

from exporters.xrootd.reports import BadReport, Report, parse_report
from tests.exporters.xrootd.packets import protocol, report, sample


def test_a_real_report_is_read() -> None:
    assert parse_report(sample("06-during-read-a")) == Report(
        sender=("vm:21094", "feas", "xrootd"),
        pid=19996,
        started_at_s=1795345857,
        made_at_s=1795346023,
        connections=1,
        counters={
            ("read_bytes",): 100766566,
            ("written_bytes",): 300294912,
            ("requests", "open"): 2,
            ("requests", "read"): 12,
            ("requests", "readv"): 0,
            ("requests", "write"): 36,
            ("requests", "writev"): 0,
            ("requests", "sync"): 0,
            ("requests", "misc"): 10,
            ("errors",): 1,
            ("delays",): 0,
            ("logins", "authenticated"): 0,
            ("logins", "unauthenticated"): 4,
            ("logins", "failed"): 0,
        },
        open_files={"read": 1, "write": 0},
    )


def test_all_sections_but_link_may_be_missing() -> None:
    read = parse_report(report(sent=5, received=6))
    assert read.counters == {("read_bytes",): 5, ("written_bytes",): 6}
    assert read.open_files == {}


def test_a_section_that_has_only_some_of_its_values_gives_these() -> None:
    ofs = '<stats id="ofs"><opw>2</opw></stats>'
    read = parse_report(report(more='<stats id="xrootd"><err>4</err></stats>' + ofs))
    assert read.counters[("errors",)] == 4
    assert read.open_files == {"write": 2}


def test_a_counter_of_32_bits_that_became_negative_is_counted_on() -> None:
    read = parse_report(report(more=protocol(opened=-(2**31), errors=-1, logins=2**31 - 1)))
    assert read.counters[("requests", "open")] == 2**31
    assert read.counters[("errors",)] == 2**32 - 1
    assert read.counters[("logins", "unauthenticated")] == 2**31 - 1


def test_a_trailing_nul_is_no_harm() -> None:
    assert parse_report(report() + b"\0") == parse_report(report())


def test_a_name_may_have_the_letters_of_any_language() -> None:
    assert parse_report(report(ins="größe &#x4e2d;")).sender[1] == "größe 中"


BAD = {
    "nothing": b"",
    "a nul": b"\0",
    "not XML": b"not xml",
    "cut off": report()[:-5],
    "cut off within the protocol": sample("06-during-read-a")[:1000],
    "two reports": report() + report(),
    "no sections": b"<statistics />",
    "no sender": report().replace(b'src="vm:1094"', b""),
    "a long name": report(src="x" * 300),
    "a name with a line break": report(ins="a&#10;b"),
    "a name with a control character": report(ins="a\x01b"),
    "a name with a control character of Latin-1": report(ins="a&#x9b;b"),
    "a name that turns the text around": report(ins="a&#x202e;b"),
    "a name that is not UTF-8": report().replace(b"feas", b"\xff\xfe"),
    "a name with half a surrogate pair": report().replace(b"feas", b"\xed\xa0\x80"),
    "a negative process id": report(pid=-7),
    "no number of connections": report().replace(b"<num>3</num>", b""),
    "a number with an exponent": report().replace(b"<out>0", b"<out>1e308"),
    "a number of 400 digits": report(sent=10**400),
    "a number beyond 64 bits": report(sent=2**63),
    "a number in other digits": report().replace(b"<out>0", "<out>٣".encode()),
    "negative bytes": report(sent=-1),
    "a counter below 32 bits": report(more=protocol(errors=-(2**31) - 1)),
    "another document": report().replace(b"statistics", b"statistic5"),
    "a declaration": b'<?xml version="1.0" encoding="x-none"?>' + report(),
    "a declared UTF-16": '<?xml version="1.0" encoding="UTF-16"?>'.encode("utf-16")
    + report().decode().encode("utf-16"),
    "UTF-16": report().decode().encode("utf-16"),
    "UTF-16 without a mark": report().decode().encode("utf-16-le"),
    "a document type": b'<!DOCTYPE a [<!ENTITY b "c">]>' + report(),
    "a document from elsewhere": b'<!DOCTYPE statistics SYSTEM "file:///etc/passwd">' + report(),
    "an entity bomb": b'<!DOCTYPE s [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>' + report(ins="&b;"),
    "a document type within": report(more='<!DOCTYPE a [<!ENTITY b "c">]>'),
    "an entity nobody defined": report(ins="&b;"),
    "a comment": report(more="<!---->"),
    "a processing instruction": report(more="<?php?>"),
    "names that stand for longer ones": report(more=f'<x xmlns:a="{"u" * 9000}"><a:b/></x>'),
    "names that stand for nothing": report(more="<a:b/>"),
    "too long": report(more=" " * 33_000),
    "64 kB": report(more=" " * 65_000)[:65_507],
}


@pytest.mark.parametrize("packet", BAD.values(), ids=BAD.keys())
def test_what_is_no_report_is_refused(packet: bytes) -> None:
    with pytest.raises(BadReport):
        parse_report(packet)


def test_a_report_nested_as_deeply_as_a_packet_can_be_is_read() -> None:
    depth = 4000
    read = parse_report(report(sent=5, more="<a>" * depth + "</a>" * depth))
    assert read.counters[("read_bytes",)] == 5
