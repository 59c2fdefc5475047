"""The section ``store``: a PostgreSQL database, which several controllers can use."""

import re
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, model_validator

from autoscaler.config.section import Section


def _postgresql_url(url: str) -> str:
    if not re.fullmatch(r"postgresql://[^\s/?]*/[^\s/?]+(\?\S*)?", url):
        raise ValueError(f"{url!r} is not a URL such as postgresql://autoscaler@db.example.org/autoscaler")
    if re.match(r"postgresql://[^/@]*:[^/@]*@", url) or re.search(r"[?&]password=", url):
        raise ValueError("a password does not belong into the URL: store.password_file names a file with it")
    return url


class StoreSection(Section):
    """Decisions in a database instead of the file ``controller.store``."""

    url: Annotated[str, AfterValidator(_postgresql_url)] | None = None
    password_file: Path | None = None

    @model_validator(mode="after")
    def _password_is_of_a_url(self) -> Self:
        if self.url is None and self.password_file is not None:
            raise ValueError("password_file goes with a url")
        return self

    def beside(self, folder: Path) -> Self:
        """The section with a relative path in ``folder``."""
        file = None if self.password_file is None else folder / self.password_file
        return self.model_copy(update={"password_file": file})
