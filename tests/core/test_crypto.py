import hashlib
import hmac

import pytest

from packages.core.crypto import (
    SecretBox,
    UndecryptableSecret,
    derive_key,
    hmac_sha256,
    new_token,
    same,
    token_hash,
)

KEY = "a secret key of at least 32 characters"


class TestSecretBox:
    def test_opens_what_it_sealed(self) -> None:
        credentials = {"access_token": "EAAB…", "nested": {"numbers": [1, 2.5, None]}}
        assert SecretBox(KEY).open(SecretBox(KEY).seal(credentials)) == credentials

    def test_does_not_show_what_it_sealed(self) -> None:
        assert b"visible" not in SecretBox(KEY).seal({"token": "visible"})

    def test_seals_the_same_differently_each_time(self) -> None:
        box = SecretBox(KEY)
        assert box.seal({"a": 1}) != box.seal({"a": 1})

    def test_another_key_does_not_open_it(self) -> None:
        with pytest.raises(UndecryptableSecret, match="PARLEY_SECRET_KEY"):
            SecretBox(KEY + "!").open(SecretBox(KEY).seal({"a": 1}))

    @pytest.mark.parametrize("position", [0, 20, -1])
    def test_a_changed_byte_does_not_pass(self, position: int) -> None:
        sealed = bytearray(SecretBox(KEY).seal({"a": 1}))
        sealed[position] ^= 1
        with pytest.raises(UndecryptableSecret):
            SecretBox(KEY).open(bytes(sealed))

    def test_an_empty_value_does_not_pass(self) -> None:
        with pytest.raises(UndecryptableSecret):
            SecretBox(KEY).open(b"")


class TestDerivedKeys:
    def test_each_purpose_has_its_own(self) -> None:
        assert derive_key(KEY, "tokens") != derive_key(KEY, "credentials")

    def test_are_the_same_in_every_process(self) -> None:
        assert derive_key("k" * 32, "tokens").hex() == derive_key("k" * 32, "tokens").hex()
        assert derive_key(KEY, "tokens") != derive_key("k" * 32, "tokens")

    @pytest.mark.parametrize("length", [16, 32, 64])
    def test_have_the_length_asked_for(self, length: int) -> None:
        assert len(derive_key(KEY, "tokens", length)) == length


class TestTokens:
    def test_say_what_they_are(self) -> None:
        assert new_token("pk").startswith("pk_")

    def test_never_repeat(self) -> None:
        assert len({new_token("pk") for _ in range(100)}) == 100

    def test_have_256_bits(self) -> None:
        assert len(new_token("pk").removeprefix("pk_")) == 43

    def test_are_stored_as_their_hash(self) -> None:
        assert token_hash("pk_x") == hashlib.sha256(b"pk_x").hexdigest()


class TestSignatures:
    def test_matches_the_published_vector(self) -> None:
        # RFC 4231, test case 2.
        expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        assert hmac_sha256(b"Jefe", b"what do ya want for nothing?") == expected

    def test_agrees_with_the_standard_library(self) -> None:
        assert hmac_sha256(b"k", b"") == hmac.new(b"k", b"", "sha256").hexdigest()

    @pytest.mark.parametrize(
        ("left", "right", "equal"),
        [
            ("abc", "abc", True),
            ("", "", True),
            ("abc", "abd", False),
            ("abc", "ABC", False),
            ("abc", "abcd", False),
            ("ä", "ä", True),
            ("ä", "a", False),
            ("\udcff", "\udcff", True),
            ("\udcff", "ÿ", False),
        ],
    )
    def test_compares_any_text(self, left: str, right: str, equal: bool) -> None:
        assert same(left, right) is equal
