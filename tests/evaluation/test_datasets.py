"""The data that evaluations stand on."""

from evaluation import datasets


def test_every_answerable_question_has_an_article_of_its_tenant() -> None:
    tenant_of = {article.id: article.tenant for article in datasets.articles()}
    assert len(datasets.answerable()) == 1069
    for question in datasets.answerable():
        assert any(tenant_of.get(article) == question.tenant for article in question.relevant)


def test_unanswerable_questions_have_none() -> None:
    assert len(datasets.unanswerable()) == 297
    assert not any(question.relevant for question in datasets.unanswerable())


def test_a_body_is_without_its_title() -> None:
    article = next(
        item for item in datasets.articles() if item.id.endswith("help/create-account/authentication-methods")
    )
    assert article.text.startswith("# Authentication methods")
    assert not article.body.startswith("# ")
