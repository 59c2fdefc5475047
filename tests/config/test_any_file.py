"""Whatever a file holds, it loads or is refused with sentences."""

from contextlib import suppress
from pathlib import Path

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from autoscaler.config.load import ConfigError, Loaded, load
from tests.config.texts import MINIMAL

unhurried = settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])


LINES = MINIMAL.splitlines()


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.dates()


anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8) | st.integers(), inner, max_size=4),
    max_leaves=8,
)


snippets = st.sampled_from(
    [
        "<<: *a",
        "&a",
        "*a",
        "!!bool x",
        "!!set {a, b}",
        "!!omap [a: b]",
        "? [a]",
        "|",
        "%TAG",
        "- ",
        "{",
        "]",
        '"\\ud800"',
        "=",
        "0x",
        "1_0",
        "~",
    ]
)


@st.composite
def damaged_files(draw: st.DrawFn) -> str:
    """The minimal file with a line replaced, as an editor might leave it."""
    lines = list(LINES)
    number = draw(st.integers(0, len(lines) - 1))
    indent = " " * (len(lines[number]) - len(lines[number].lstrip()))
    lines[number] = (
        draw(st.sampled_from([indent, ""]))
        + draw(st.sampled_from(["", "proof: ", "wn: ", "a: "]))
        + draw(snippets | st.text(max_size=12))
    )
    return "\n".join(lines)


@unhurried
@given(st.text() | damaged_files())
@example("a: !!omap [b: c]\nsource: !!omap [b: c]")
@example("host_defaults: &a\n  wn: *a\nhosts:\n- &b\n  wn: *b\n")
def test_any_text_loads_or_is_refused_with_sentences(file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8", errors="surrogatepass")
    with suppress(ConfigError):
        assert isinstance(load(file), Loaded)


SECTIONS = ["controller", "source", "policy", "guards", "hosts", "host_defaults"]


KEYS = ["name", "uri", "kind", "url", "targets", "signals", "proof", "wn", "domain", "interval", "workers", "store"]


@settings(unhurried, max_examples=50)
@given(st.dictionaries(st.sampled_from(SECTIONS), st.dictionaries(st.sampled_from(KEYS), anything) | anything))
def test_any_structure_loads_or_is_refused_with_sentences(file: Path, structure: dict[str, object]) -> None:
    good = YAML(typ="safe", pure=True).load(MINIMAL)
    YAML(typ="safe", pure=True).dump({**good, **structure}, file)
    with suppress(ConfigError):
        assert isinstance(load(file), Loaded)
