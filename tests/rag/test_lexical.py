"""The same words become the same terms, on both sides of a search."""

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import snowballstemmer

from packages.rag.lexical import detect_language, query_terms, terms


@pytest.mark.parametrize(
    ("document", "question"),
    [
        ("Passwords were being reset by the customers", "reset my password"),
        ("Las contraseñas de las cuentas se cambian aquí", "¿Cómo cambio la contraseña de mi cuenta?"),
        ("Les mots de passe sont réinitialisés dans le compte", "Comment réinitialiser le mot de passe ?"),
        ("Die Rechnungen werden mit der Post verschickt", "Wann wird die Rechnung verschickt?"),
        ("如何重置您的密码", "重置密码"),
        ("ＦＵＬＬ　ｗｉｄｔｈ letters", "full width letter"),
        ("The customer’s invoice", "customer's invoices"),
    ],
)
def test_a_question_meets_its_document(document: str, question: str) -> None:
    shared = set(terms(document)) & set(query_terms(question))
    assert len(shared) >= 2


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("How can I change the phone number of my account?", "en"),
        ("¿Cómo puedo cambiar el número de mi cuenta?", "es"),
        ("Comment puis-je changer le numéro de mon compte ?", "fr"),
        ("Wie kann ich die Nummer von meinem Konto ändern?", "de"),
        ("как мне изменить номер телефона в аккаунте и что для этого надо", "ru"),
        ("invoice refund", None),
        ("", None),
    ],
)
def test_languages_are_recognised_by_their_function_words(text: str, language: str | None) -> None:
    assert detect_language(text) == language


def test_a_question_of_stop_words_keeps_them() -> None:
    assert query_terms("what is this") == ["what", "is", "this"]


def test_the_assumed_language_decides_where_words_do_not_tell() -> None:
    assert query_terms("contraseñas", "es") == terms("contraseña", "es")


def test_terms_are_short_enough_for_their_column() -> None:
    assert max(map(len, terms("x" * 500 + " " + "漢" * 500))) <= 64


@pytest.fixture
def restless_threads() -> Iterator[None]:
    """Threads that take turns all the time."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("restless_threads")
def test_threads_do_not_disturb_each_others_stems() -> None:
    texts = [" ".join(f"{letter}{number}ational" for number in range(500)) for letter in "abcdefgh"]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda text: terms(text, "en"), texts))
    stemmer = snowballstemmer.stemmer("english")
    assert found == [stemmer.stemWords(text.split()) for text in texts]
