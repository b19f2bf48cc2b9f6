from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from psi.protocol import (
    Array,
    CodecError,
    Length,
    MisuseError,
    Range,
    Text,
    codec,
    decode,
    encode,
    message,
)


@dataclass(frozen=True)
class Inner:
    name: Annotated[str, Text(8)]


@message(250)
@dataclass(frozen=True, kw_only=True)
class Sample:
    count: Annotated[int, Range(0, 100)]
    flag: bool
    blob: Annotated[bytes, Length(16)]
    rows: Annotated[np.ndarray, Array("uint8", width=4, most=10)]
    inner: Inner
    parts: Annotated[tuple[int, ...], Length(3)]
    table: Annotated[dict[str, bytes], Length(2)]
    maybe: Annotated[bytes, Length(4)] | None = None


def sample(**changes: object) -> Sample:
    fields: dict[str, object] = {
        "count": 7,
        "flag": True,
        "blob": b"abc",
        "rows": np.arange(8, dtype=np.uint8).reshape(2, 4),
        "inner": Inner("x"),
        "parts": (1, -2),
        "table": {"b": b"2", "a": b"1"},
    }
    return Sample(**(fields | changes))  # type: ignore[arg-type]


def test_round_trip_is_identity() -> None:
    value = sample(maybe=b"hi")
    again = decode(encode(value), Sample)
    assert np.array_equal(again.rows, value.rows)
    assert encode(again) == encode(value)


def test_trailing_bytes_are_rejected() -> None:
    with pytest.raises(CodecError, match="1 trailing bytes"):
        decode(encode(sample()) + b"\0", Sample)


@pytest.mark.parametrize("cut", range(len(encode(sample()))))
def test_every_truncation_is_rejected(cut: int) -> None:
    with pytest.raises(CodecError):
        decode(encode(sample())[:cut], Sample)


@pytest.mark.parametrize(
    "changes",
    [{"count": 101}, {"blob": bytes(17)}, {"parts": (1, 2, 3, 4)}, {"inner": Inner("123456789")}],
)
def test_own_values_out_of_bounds_are_misuse(changes: dict[str, object]) -> None:
    with pytest.raises(MisuseError):
        encode(sample(**changes))


def test_a_length_is_checked_before_allocation() -> None:
    data = bytearray(encode(sample()))
    at = data.index((3).to_bytes(8, "little"))
    data[at : at + 8] = (2**60).to_bytes(8, "little")
    with pytest.raises(CodecError, match="at most 16 allowed"):
        decode(bytes(data), Sample)


def test_a_message_that_is_not_allowed_here_is_rejected() -> None:
    with pytest.raises(CodecError, match="Sample found, none allowed"):
        decode(encode(sample()))


@given(st.binary(max_size=200))
def test_any_bytes_give_a_message_or_a_codec_error(data: bytes) -> None:
    try:
        value = decode(b"\x01\xfa" + data, Sample)
    except CodecError:
        return
    assert encode(value) == b"\x01\xfa" + data


def test_no_repr_shows_what_a_message_carries() -> None:
    """States at rest hold keys, messages rows: what is printed of them are numbers and sizes."""
    rows = np.full((2, 4), 77, np.uint8)
    made = Sample(
        count=5,
        flag=True,
        blob=b"planted",
        rows=rows,
        inner=Inner("planted"),
        parts=(78,),
        table={"planted": b"planted"},
    )
    assert repr(made) == (
        "<Sample count: 5, flag: True, blob: 7, rows: uint8[2, 4], inner: Inner, parts: 1, "
        "table: 1, maybe: NoneType>"
    )
    shown = [kind for kind in codec._TYPE_OF if not hasattr(kind.__repr__, "__wrapped__")]
    assert len(shown) == len(codec._TYPE_OF)


def test_a_second_class_of_one_number_is_refused_whatever_its_name() -> None:
    @dataclass(frozen=True)
    class Sample:
        count: Annotated[int, Range(0, 1)]

    Sample.__qualname__ = "Sample"  # as a class of this name in another module would be
    Sample.__module__ = "elsewhere"
    with pytest.raises(MisuseError, match=r"250 is taken by .*test_codec.Sample"):
        message(250)(Sample)
