"""How a register is declared: fields from bit 0 on, each with access and reset value."""

from __future__ import annotations

import dataclasses
import enum

REGISTER_BITS = 32
REGISTER_BYTES = REGISTER_BITS // 8


class Access(enum.Enum):
    """What software can do with a field."""

    R = "read"
    """Reads what the machine says; writes change nothing."""
    RW = "read/write"
    """Keeps what was written last."""
    W = "write"
    """What is written is there for one cycle; reads as 0."""
    RW1C = "read/write 1 to clear"
    """The machine sets bits; software clears those that it writes 1 to."""


_LOCKED = "refused while busy or stopped"
_REMARKS = {Access.W: "reads as 0", Access.RW1C: "write 1 to clear"}


@dataclasses.dataclass(frozen=True)
class Field:
    """Neighbouring bits of a register that belong together.

    Attributes:
        name: unique in its register.
        access: what software can do with it.
        doc: what it is.
        width: bits.
        reset: its value after power-on; None if the configuration decides.
        locked: what software wants of it is refused while the machine says so. Only RW and W.

    Raises:
        ValueError: ``width`` is not from 1 to 32, ``reset`` does not fit it, or ``locked`` is
            nothing that the access knows.
    """

    name: str
    access: Access
    doc: str
    width: int = 1
    reset: int | None = 0
    locked: bool = False

    def __post_init__(self) -> None:
        if self.locked and self.access not in (Access.RW, Access.W):
            raise ValueError(f"{self.name}: a field of access {self.access.value!r} has no lock")
        if not 1 <= self.width <= REGISTER_BITS:
            raise ValueError(f"{self.name}: width must be from 1 to 32, not {self.width!r}")
        if self.reset is not None and not 0 <= self.reset < 1 << self.width:
            raise ValueError(f"{self.name}: reset {self.reset!r} does not fit {self.width} bits")


@dataclasses.dataclass(frozen=True)
class Register:
    """One register of 32 bits.

    Attributes:
        name: unique in the map.
        offset: byte offset.
        fields: from bit 0 on, without gaps.
        about: what it is, if its fields do not say so.

    Raises:
        ValueError: ``offset`` is not that of a word, there is no field, two have one name, or they
            have more than 32 bits.
    """

    name: str
    offset: int
    fields: tuple[Field, ...]
    about: str = ""

    def __post_init__(self) -> None:
        if self.offset < 0 or self.offset % REGISTER_BYTES:
            raise ValueError(f"{self.name}: offset must be a multiple of 4, not {self.offset!r}")
        names = [field.name for field in self.fields]
        if not names or len(set(names)) != len(names):
            raise ValueError(f"{self.name}: fields must have names of their own, not {names!r}")
        width = sum(field.width for field in self.fields)
        if width > REGISTER_BITS:
            raise ValueError(f"{self.name}: fields must fit 32 bits, not {width!r}")

    @property
    def writable(self) -> bool:
        """Whether a write does anything."""
        return any(field.access is not Access.R for field in self.fields)

    def shift(self, name: str) -> int:
        """The lowest bit of the field with this name.

        Raises:
            ValueError: there is none.
        """
        names = [field.name for field in self.fields]
        if name not in names:
            raise ValueError(f"{self.name} has no field {name!r}")
        return sum(field.width for field in self.fields[: names.index(name)])

    def mask(self, name: str) -> int:
        """The bits of the field with this name, set.

        Raises:
            ValueError: there is none.
        """
        field = next((field for field in self.fields if field.name == name), None)
        return ((1 << (field.width if field else 0)) - 1) << self.shift(name)

    @property
    def doc(self) -> str:
        """What it is, in a line."""
        if self.about:
            return self.about
        if len(self.fields) == 1:
            [field] = self.fields
            return f"{field.doc}; {_LOCKED}" if field.locked else field.doc
        parts = [f"bit {self.shift(field.name)}: {field.doc}" for field in self.fields]
        accesses = dict.fromkeys(field.access for field in self.fields)
        return "; ".join([*parts, *(_REMARKS[a] for a in accesses if a in _REMARKS)])
