"""What the values of the model are made of."""

from dataclasses import dataclass

from msgspec import Struct


class Value(Struct, frozen=True):
    """A frozen dataclass that is made in C.

    ``@dataclass(frozen=True)`` takes five to nine times as long for each, and a replay makes millions of them. A
    subclass says ``frozen=True`` too. The functions of ``dataclasses`` know it, but for its defaults.
    """

    def __init_subclass__(cls) -> None:
        """Let ``dataclasses.replace``, ``fields`` and ``asdict`` know the fields."""
        super().__init_subclass__()
        # Without one (also by ``python -OO``) ``dataclass`` makes one of the signature, and msgspec, asked for that
        # while its class is not finished, brings the interpreter down.
        cls.__doc__ = cls.__doc__ or cls.__name__
        dataclass(init=False, repr=False, eq=False, match_args=False)(cls)
