"""`autoscaler check`."""

from pathlib import Path

import pytest

from tests.cli.site import Site, invoke, run_process


def test_a_good_file_is_exit_code_0_and_says_what_it_holds(site: Site) -> None:
    result = invoke("check", site.config)
    assert result.exit_code == 0
    assert result.stdout.startswith(f"{site.config}: good: 1 host, policy threshold (workers_per_session: 4, ")


def test_hosts_are_counted(two_hosts: Site) -> None:
    assert ": good: 2 hosts, " in invoke("check", two_hosts.config).stdout


def test_a_file_that_is_missing_is_exit_code_1_and_named(tmp_path: Path) -> None:
    result = invoke("check", tmp_path / "none.yaml")
    assert result.exit_code == 1
    assert result.stderr == f"Error: {tmp_path}/none.yaml: cannot be read: No such file or directory\n"


def test_an_error_is_told_by_file_line_key_and_reason(site: Site) -> None:
    site.replace("host_timeout: 20s", "host_timeout: 20")
    result = invoke("check", site.config)
    assert result.exit_code == 1
    assert f"{site.config}:2: controller.host_timeout: 20 has no unit" in result.stderr


def test_every_error_is_told_at_once(site: Site) -> None:
    site.replace("fresh_for: 60s", "fresh_foor: 60s")
    site.replace("workers_max: 8", "workers_max: 0")
    result = invoke("check", site.config)
    assert "unknown key (did you mean 'fresh_for'?)" in result.stderr
    assert "proof.workers_max" in result.stderr


def test_check_opens_neither_store_nor_hosts(site: Site) -> None:
    (site.folder / "host-1.xml").unlink()
    assert invoke("check", site.config).exit_code == 0
    assert not site.store.exists()


NASTY = {
    "empty": b"",
    "not a mapping": b"- 1\n- 2\n",
    "a word": b"autoscaler",
    "binary": bytes(range(256)),
    "not UTF-8": "controller: é".encode("latin-1"),
    "NUL": b"controller: \x00",
    "broken YAML": b"controller: [1, 2\nsource: }",
    "tabs": b"controller:\n\tinterval: 15s\n",
    "the same key twice": b"controller: {}\ncontroller: {}\n",
    "an unknown anchor": b"controller: *nowhere\n",
    "an anchor within itself": b"controller: &a {interval: *a}\n",
    "a Python object": b"controller: !!python/object/apply:os.system ['true']\n",
    "hosts as a mapping": b"hosts: {name: host-1}\n",
    "hosts as numbers": b"hosts: [1, 2]\nsource: 3\npolicy: 4\n",
    "host_defaults as a list": b"host_defaults: []\nhosts: []\n",
    "keys that are not words": b"1: 2\n[a, b]: c\n? {a: b}\n: d\nnull: e\n",
    "two documents": b"controller: {}\n---\ncontroller: {}\n",
    "huge numbers": b"controller: {interval: 99999999999999999999999999999h}\n",
    "infinite": b"policy: {name: threshold, grow_queued: .inf, idle: 1s}\nhosts: .nan\n",
    "deep": b"controller: " + b"[" * 500 + b"]" * 500,
    "a policy that does not exist": b"policy: {name: 'os:system'}\n",
}


@pytest.mark.parametrize("name", NASTY)
def test_a_bad_file_is_exit_code_1_and_told_in_sentences(tmp_path: Path, name: str) -> None:
    file = tmp_path / "bad.yaml"
    file.write_bytes(NASTY[name])
    result = invoke("check", file)
    assert result.exit_code == 1
    assert all(str(file) in line for line in result.stderr.splitlines())
    assert result.stdout == ""


@pytest.mark.parametrize("command", ["run", "dry-run", "status", "history"])
def test_every_command_refuses_a_bad_file_with_exit_code_1(tmp_path: Path, command: str) -> None:
    (tmp_path / "bad.yaml").write_text("controller: 7\n")
    result = invoke(command, "--config", tmp_path / "bad.yaml")
    assert result.exit_code == 1
    assert "bad.yaml:1: controller: " in result.stderr


def test_a_folder_is_not_a_configuration(tmp_path: Path) -> None:
    assert "Is a directory" in invoke("check", tmp_path).stderr


def test_the_installed_command_prints_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_bytes(NASTY["binary"])
    done = run_process("check", "bad.yaml", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("Error: bad.yaml: ")
