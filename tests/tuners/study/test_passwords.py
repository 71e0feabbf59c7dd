"""Passwords of addresses, wherever they stand in a text."""

from __future__ import annotations

import pytest

from tuners.study.passwords import hide_passwords


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("postgresql://me:secret@host:5432/db", "postgresql://me:***@host:5432/db"),
        ("postgresql+psycopg://me:se:cr/et@host/db", "postgresql+psycopg://me:***@host/db"),
        ("redis://:secret@host", "redis://:***@host"),
        ("mysql://h/db?user=a&password=secret&x=1", "mysql://h/db?user=a&password=***&x=1"),
        ("sqlite:///study.db", "sqlite:///study.db"),
        ("see https://example.org:80/a", "see https://example.org:80/a"),
    ],
)
def test_passwords_are_hidden(text: str, hidden: str) -> None:
    assert hide_passwords({"a": [text, 1]}) == {"a": [hidden, 1]}


def test_passwords_with_an_at_sign_are_hidden() -> None:
    assert "p@ss" not in hide_passwords("postgresql://me:p@ss@host/db")


@pytest.mark.parametrize(
    ("address", "hidden"),
    [
        ("sqlite:///study.db", "sqlite:///study.db"),
        ("postgresql://me:a:b@c@host/wine", "postgresql://me:***@host/wine"),
        (
            "postgresql://host/wine?password=a&user=me",
            "postgresql://host/wine?password=***&user=me",
        ),
        ("redis://:secret@host:6379/0", "redis://:***@host:6379/0"),
    ],
)
def test_the_passwords_of_addresses_are_hidden(address: str, hidden: str) -> None:
    assert hide_passwords(address) == hidden
