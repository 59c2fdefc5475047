"""What xrootd sends, for tests: made by hand, and captured."""

from pathlib import Path

SAMPLES = Path(__file__).parents[1] / "samples" / "xrootd"

# What XRootD 5.5.3 answers to the handshake.
ANSWER = bytes.fromhex("00000000000000080000051100000001")


def sample(name: str) -> bytes:
    return (SAMPLES / f"{name}.xml").read_bytes()


def samples() -> list[bytes]:
    """All captured reports in the order of their sending; between the last two the server was killed."""
    return [file.read_bytes() for file in sorted(SAMPLES.glob("*.xml"))]


def report(
    tod: int = 100,
    *,
    sent: int = 0,
    received: int = 0,
    pid: int = 7,
    tos: int = 50,
    src: str = "vm:1094",
    ins: str = "feas",
    pgm: str = "xrootd",
    more: str = "",
) -> bytes:
    return (
        f'<statistics tod="{tod}" ver="v5.5.3" src="{src}" tos="{tos}" pgm="{pgm}" ins="{ins}" pid="{pid}" site="">'
        f'<stats id="link"><num>3</num><in>{received}</in><out>{sent}</out></stats>{more}</statistics>'
    ).encode()


def protocol(*, opened: int = 0, errors: int = 0, logins: int = 0) -> str:
    """The section of the xrootd protocol, with three of its counters of 32 bits."""
    return (
        f'<stats id="xrootd"><ops><open>{opened}</open><rd>5</rd></ops><err>{errors}</err>'
        f"<lgn><ua>{logins}</ua></lgn></stats>"
    )
