"""Text encrypted at rest: receivers' personal data and the secrets of shops and platforms.

Fernet (AES-128-CBC with HMAC-SHA256, https://github.com/fernet/spec) from the cryptography
package. The first key of settings.DATA_KEYS encrypts, every key decrypts, so that a new key is
put in front, old rows are rewritten at leisure (`manage.py rotate_data_keys`), and the old key
is then dropped.
"""

import hashlib
import hmac
from functools import lru_cache
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.db import models


@lru_cache(maxsize=4)
def _box(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])


def seal(text: str) -> str:
    """Encrypt text with the newest key. An empty text stays empty."""
    return _box(tuple(settings.DATA_KEYS)).encrypt(text.encode()).decode() if text else ""


def unseal(token: str) -> str:
    """Decrypt what `seal` made, with any of the known keys. Raises ValueError if none fits."""
    if not token:
        return ""
    try:
        return _box(tuple(settings.DATA_KEYS)).decrypt(token.encode()).decode()
    except InvalidToken as error:
        raise ValueError("no data key opens this value") from error


def fingerprint(text: str) -> str:
    """A keyed digest by which equal values can be found without being read (hex, 32 characters)."""
    return hmac.new(settings.FINGERPRINT_KEY.encode(), text.encode(), hashlib.sha256).hexdigest()[:32]


class SealedTextField(models.TextField):
    """A text column that is ciphertext in the database and plain text in Python."""

    def get_prep_value(self, value: Any) -> Any:
        return seal(super().get_prep_value(value) or "")

    def from_db_value(self, value: str | None, expression: object, connection: object) -> str:
        return unseal(value or "")
