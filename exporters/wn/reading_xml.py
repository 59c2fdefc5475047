"""How the XML of a batch system's commands is read: piece by piece, so that a long queue needs little memory."""

import re
from collections.abc import Iterator, Sequence
from io import StringIO
from xml.etree.ElementTree import Element, ParseError

from defusedxml.ElementTree import iterparse

from exporters.serving import SourceUnavailable

# Forbidden in XML even when escaped, but not in the names of jobs: one such name may not hide all the other jobs.
ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


def elements(command: str, output: bytes, tag: str, frame: Sequence[str]) -> Iterator[Element]:
    """Yield the elements of that name which a command printed; each is forgotten afterwards.

    ``frame`` is what must be around them: the names of the outer elements, in the order of their ends. Raises
    :class:`SourceUnavailable`, perhaps only at the end, when some elements are out already.
    """
    if not output.strip():
        raise SourceUnavailable(f"{command} printed nothing")
    text = ILLEGAL.sub("\N{REPLACEMENT CHARACTER}", output.decode(errors="replace"))
    ended = []
    try:
        for _, element in iterparse(StringIO(text), forbid_dtd=True):
            if element.tag == tag:
                yield element
                element.clear()
            elif element.tag in frame:
                ended.append(element.tag)
    except (ParseError, ValueError) as error:
        raise SourceUnavailable(f"{command} printed something that is not a whole XML document") from error
    if ended != list(frame):
        raise SourceUnavailable(f"{command} printed XML of another kind than expected: it lacks {', '.join(frame)}")


def texts(element: Element) -> dict[str, str]:
    """Return the texts of the children by their names."""
    return {child.tag: (child.text or "").strip() for child in element}
