"""`autoscaler set-aside`: only a damaged store is moved, and nothing of it is lost."""

import os

from autoscaler.store.sqlite import alone
from tests.cli.site import Site


def damaged(site: Site) -> bytes:
    site.run(cycles=40)
    size = site.store.stat().st_size
    with site.store.open("r+b") as file:
        file.seek(2 * 4096)
        file.write(os.urandom(size - 3 * 4096))
    return site.store.read_bytes()


def test_a_sound_store_stays_where_it_is(site: Site) -> None:
    site.run()
    result = site.invoke("set-aside")
    assert (result.exit_code, site.store.exists()) == (4, True)
    assert "is sound: it stays where it is" in result.stderr


def test_no_store_is_exit_code_4(site: Site) -> None:
    result = site.invoke("set-aside")
    assert result.exit_code == 4
    assert "does not exist" in result.stderr


def test_a_damaged_store_is_kept_under_another_name(site: Site) -> None:
    content = damaged(site)
    result = site.invoke("set-aside")
    assert result.exit_code == 0, result.stderr
    (aside,) = site.folder.glob("decisions.sqlite.damaged-*Z")
    assert aside.read_bytes() == content
    assert str(aside) in result.stdout


def test_a_damaged_store_that_a_controller_uses_stays_where_it_is(site: Site) -> None:
    content = damaged(site)
    with alone(site.store):
        result = site.invoke("set-aside")
    assert result.exit_code == 4
    assert f"store {site.store} is in use by process {os.getpid()}: stop the controller before" in result.stderr
    assert site.store.read_bytes() == content
    assert not [*site.folder.glob("*.damaged-*")]


def test_a_sound_store_is_told_to_be_so_also_while_a_controller_uses_it(site: Site) -> None:
    site.run()
    with alone(site.store):
        assert "is sound: it stays where it is" in site.invoke("set-aside").stderr


def test_a_damaged_store_that_no_controller_has_used_is_moved_and_nothing_is_made_beside_it(site: Site) -> None:
    site.store.write_bytes(b"no database" * 1000)
    assert site.invoke("set-aside").exit_code == 0
    assert not site.store.with_name(f"{site.store.name}.lock").exists()


def test_a_controller_begins_anew_where_a_damaged_store_was(site: Site) -> None:
    damaged(site)
    site.invoke("set-aside")
    assert site.run().exit_code == 0


def test_a_database_of_a_server_is_not_moved(site: Site) -> None:
    site.replace("source:", "store: {url: 'postgresql://127.0.0.1:1/vaf'}\nsource:")
    result = site.invoke("set-aside")
    assert result.exit_code == 4
    assert "is no SQLite file: PostgreSQL's own tools restore it" in result.stderr
