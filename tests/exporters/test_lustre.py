"""The statistics of Lustre: texts made after its documentation (FROM-DOCS), as the test bed has no Lustre."""

import os
from contextlib import suppress
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from exporters.lustre import (
    MAX_TARGETS,
    Stats,
    command,
    parse_get_param,
    parse_stats,
    read_files,
    read_lctl,
    stats_metrics,
)
from exporters.serving import Source, SourceUnavailable
from tests.exporters.exposition import SAMPLES, assert_golden, exposition
from tests.exporters.fuzzing import cut_and_changed, unhurried

LUSTRE = SAMPLES / "lustre"
FILE = (LUSTRE / "FROM-DOCS-client-2.10.stats").read_text()
NOTHING = "snapshot_time             1795347490.0 secs.usecs\n"


def printed(name: str) -> str:
    return (LUSTRE / f"FROM-DOCS-{name}.txt").read_text()


def lay_down(folder: Path, target: str, text: str) -> str:
    """Make a stats file as the kernel shows it; return the pattern that finds all of them."""
    (folder / target).mkdir()
    (folder / target / "stats").write_text(text)
    return f"{folder}/*/stats"


def test_bytes_and_calls_of_a_client_are_read() -> None:
    assert parse_stats(FILE) == Stats(14421705314, 27846, 14761109479, 16230)


def test_what_lctl_prints_is_read_by_target() -> None:
    assert parse_get_param(printed("client-2.15")) == {
        "scratch-ffff9e1d3b2c7000": Stats(44179456, 16, 44204032, 16),
        "home-ffff9e1d3b2c8800": Stats(0, 0, 0, 0),
    }


def test_a_server_has_its_targets_be_the_header_a_line_of_its_own_or_not() -> None:
    assert parse_get_param(printed("server-2.12")) == {
        "scratch-OST0000": Stats(1048576, 1, 514734334033, 491854),
        "scratch-OST0001": Stats(14421705314304, 27846475, 14761109479164, 16230483),
    }


def test_a_counter_that_is_left_out_is_0_as_lustre_shows_none_without_calls() -> None:
    assert parse_get_param(printed("client-2.14-nothing-read")) == {
        "scratch-ffff9e1d3b2c7000": Stats(0, 0, 44204032, 16)
    }
    assert parse_stats(NOTHING) == Stats()


def test_the_time_that_calls_took_is_no_bytes() -> None:
    assert parse_stats(f"{NOTHING}read 16 samples [usecs] 1 2 99 4\nread_bytes_x 1 samples [bytes] 1 1 1\n") == Stats()


def test_the_fraction_of_the_snapshot_time_may_be_padded_with_spaces() -> None:
    assert parse_stats("snapshot_time             1795347490.  8018348 secs.usecs\n") == Stats()


def test_a_sum_of_squares_that_overflowed_is_no_harm() -> None:
    assert parse_stats(f"{NOTHING}read_bytes 3 samples [bytes] 1 2 5 -9223372036854775808\n") == Stats(5, 3)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "does not begin with snapshot_time"),
        ("\n", "does not begin with snapshot_time"),
        ("read_bytes 3 samples [bytes] 1 2 5\n", "does not begin with snapshot_time"),
        ("4096\n", "does not begin with snapshot_time"),
        (f"{NOTHING}read_bytes 3 samples [bytes] 1 2\n", "the line read_bytes cannot be read"),
        (f"{NOTHING}read_bytes 3 samples [pages] 1 2 5\n", "the line read_bytes cannot be read"),
        (f"{NOTHING}write_bytes 3 samples [bytes] 1 2 -5\n", "the line write_bytes cannot be read"),
        (f"{NOTHING}write_bytes 3 samples [bytes] 1 2 {'9' * 5000}\n", "the line write_bytes cannot be read"),
        (f"{NOTHING}write_bytes ٣ samples [bytes] 1 2 5\n", "the line write_bytes cannot be read"),
        (f"{NOTHING}read_bytes", "it does not end with a newline"),
        (NOTHING.strip(), "it does not end with a newline"),
        (FILE[:-1], "it does not end with a newline"),
        ("snapshot_time 17\n", "the line snapshot_time cannot be read"),
        (f"{NOTHING}read_bytes\n", "the line read_bytes cannot be read"),
        (f"{NOTHING}open 3 sam\n", "the line open cannot be read"),
        (f"{NOTHING}rubbish\n", "the line rubbish cannot be read"),
    ],
)
def test_what_is_no_statistics_is_no_zero(text: str, sentence: str) -> None:
    with pytest.raises(SourceUnavailable, match=sentence):
        parse_stats(text)


def test_files_are_read_by_the_name_of_their_folder(tmp_path: Path) -> None:
    lay_down(tmp_path, "scratch-ffff9e1d3b2c7000", FILE)
    pattern = lay_down(tmp_path, "home-ffff9e1d3b2c8800", NOTHING)
    assert read_files([pattern]) == {
        "home-ffff9e1d3b2c8800": Stats(),
        "scratch-ffff9e1d3b2c7000": parse_stats(FILE),
    }


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    pattern = lay_down(tmp_path, "scratch-ffff9e1d3b2c7000", "rubbish")
    with pytest.raises(SourceUnavailable, match=r"^/.*/scratch-ffff9e1d3b2c7000/stats: the text does not begin with"):
        read_files([pattern])
    folder = tmp_path / "folder" / "stats"
    folder.mkdir(parents=True)
    with pytest.raises(SourceUnavailable, match=f"^cannot read {folder}: Is a directory$"):
        read_files([str(folder)])


def test_what_is_unmounted_while_it_is_read_is_left_out(tmp_path: Path) -> None:
    pattern = lay_down(tmp_path, "scratch-ffff9e1d3b2c7000", FILE)
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "stats").symlink_to("nowhere")
    assert list(read_files([pattern])) == ["scratch-ffff9e1d3b2c7000"]


def test_a_name_that_is_not_utf_8_can_be_shown(tmp_path: Path) -> None:
    pattern = lay_down(tmp_path, os.fsdecode(b"scratch\xff-OST0000"), FILE)
    assert list(read_files([pattern])) == ["scratch\N{REPLACEMENT CHARACTER}-OST0000"]


def test_what_lctl_printed_by_half_is_unknown() -> None:
    with pytest.raises(SourceUnavailable, match="what lctl printed is cut off"):
        parse_get_param(printed("client-2.15")[:-1])


def test_nothing_mounted_is_unknown_and_not_nothing_read(tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailable, match=r"no statistics of Lustre in .*: nothing is mounted, or only root may"):
        read_files([f"{tmp_path}/*/stats"])


def test_a_pattern_that_finds_too_much_is_refused(tmp_path: Path) -> None:
    for number in range(MAX_TARGETS + 1):
        (tmp_path / str(number)).touch()
    with pytest.raises(SourceUnavailable, match="more than 1000 files match --stats"):
        read_files([f"{tmp_path}/*"])


@pytest.fixture
def lctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give an lctl that prints the samples its parameters are the names of, and fails for any other."""
    script = tmp_path / "lctl"
    script.write_text(
        f'#!/bin/sh\n[ "$1" = get_param ] && shift || exit 2\n'
        f'for name; do cat "{LUSTRE}/FROM-DOCS-$name.txt" || exit 1; done\n'
    )
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return script


@pytest.mark.usefixtures("lctl")
def test_lctl_is_asked_for_all_parameters() -> None:
    stats = read_lctl(["client-2.15", "server-2.12"], 8)
    assert sorted(stats) == [
        "home-ffff9e1d3b2c8800",
        "scratch-OST0000",
        "scratch-OST0001",
        "scratch-ffff9e1d3b2c7000",
    ]


@pytest.mark.usefixtures("lctl")
def test_one_parameter_that_lctl_does_not_know_makes_the_whole_unknown() -> None:
    with pytest.raises(SourceUnavailable, match=r"lctl failed with exit code 1: .*No such file or directory"):
        read_lctl(["client-2.15", "no.such.stats"], 8)


def test_an_lctl_that_prints_nothing_has_not_said_zero(lctl: Path) -> None:
    lctl.write_text("#!/bin/sh\n")
    with pytest.raises(SourceUnavailable, match="lctl printed no statistics: the parameter must be one that ends in"):
        read_lctl(["llite.*.max_cached_mb"], 8)


def test_of_several_targets_the_one_that_cannot_be_read_is_named() -> None:
    with pytest.raises(SourceUnavailable, match=r"^home-ffff9e1d3b2c8800: the text does not begin with snapshot_time"):
        parse_get_param(printed("client-2.15").replace("snapshot_time             1795347490.808901234", "other"))


def run(*arguments: str) -> Result:
    return CliRunner().invoke(command, [*arguments, "--once"], catch_exceptions=False)


def test_the_command_reads_files(tmp_path: Path) -> None:
    done = run("--stats", lay_down(tmp_path, "scratch-ffff9e1d3b2c7000", FILE))
    assert done.exit_code == 0
    line = 'lustre_read_bytes_total{filesystem="scratch",target="scratch-ffff9e1d3b2c7000"} 1.4421705314e+10'
    assert line in done.output


@pytest.mark.usefixtures("lctl")
def test_the_command_asks_lctl() -> None:
    done = run("--lctl", "server-2.12")
    assert done.exit_code == 0
    assert 'lustre_written_bytes_total{filesystem="scratch",target="scratch-OST0000"} 5.14734334033e+11' in done.output


def test_the_command_says_when_nothing_is_mounted(tmp_path: Path) -> None:
    done = run("--stats", f"{tmp_path}/*/stats")
    assert done.exit_code == 1
    assert "lustre_up 0.0" in done.output
    assert "lustre_read_bytes_total{" not in done.output


def test_the_exposition_is_the_golden_one() -> None:
    stats = parse_get_param(printed("client-2.15") + printed("server-2.12"))
    assert_golden("lustre", exposition(Source("lustre", lambda: stats_metrics(stats))))


texts = st.text() | cut_and_changed(printed("client-2.15").encode()).map(lambda data: data.decode(errors="replace"))


@unhurried
@given(texts)
def test_fuzz_any_text_is_read_or_refused(text: str) -> None:
    for parse in (parse_stats, parse_get_param):
        with suppress(SourceUnavailable):
            parse(text)


@unhurried
@given(texts)
def test_fuzz_whatever_was_read_can_be_written(text: str) -> None:
    with suppress(SourceUnavailable):
        stats = parse_get_param(text)
        assert "lustre_up 1.0" in exposition(Source("lustre", lambda: stats_metrics(stats)))
