"""Arguments: repaired where the meaning is plain, refused where it would be a guess."""

from typing import Any

import pytest

from services.orchestrator.acting.arguments import checked, closest
from services.orchestrator.tool_schemas import UnusableSchema, safe_pattern, tamed

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "order_id": {"type": "string", "pattern": r"^\d{10}$", "x-said": True},
        "count": {"type": "integer", "minimum": 1},
        "amount": {"type": "number"},
        "gift": {"type": "boolean"},
        "email": {"type": "string", "format": "email"},
        "method": {"type": "string", "enum": ["credit card", "gift card", "by mail"]},
        "tags": {"type": "array", "items": {"type": "string"}},
        "address": {"type": "object", "properties": {"zip_code": {"type": "string"}}},
    },
}


class TestChecked:
    @pytest.mark.parametrize(
        ("given", "meant"),
        [
            ({"orderId": "3348917502"}, {"order_id": "3348917502"}),
            ({"Order-ID": 3348917502}, {"order_id": "3348917502"}),
            ({"order_id": "# 334 891 7502"}, {"order_id": "3348917502"}),
            ({"order_id": ["3348917502"]}, {"order_id": "3348917502"}),
            ({"arguments": {"count": "3"}}, {"count": 3}),
            ({"count": 3.0}, {"count": 3}),
            ({"amount": "$1,250.50"}, {"amount": 1250.5}),
            ({"amount": "50 USD"}, {"amount": 50}),
            ({"gift": "Yes"}, {"gift": True}),
            ({"gift": 0}, {"gift": False}),
            ({"email": " CMinh730@Example.com "}, {"email": "cminh730@example.com"}),
            ({"method": "Credit_Card"}, {"method": "credit card"}),
            ({"method": "giftcard"}, {"method": "gift card"}),
            ({"tags": "urgent"}, {"tags": ["urgent"]}),
            ({"tags": '["a", "b"]'}, {"tags": ["a", "b"]}),
            ({"address": {"zipCode": 90210}}, {"address": {"zip_code": "90210"}}),
            ({"count": None, "email": "n/a"}, {}),
            ({"nonsense": 1, "count": 2}, {"count": 2}),
            ('{"count": 2,}', {"count": 2}),
            (None, {}),
        ],
    )
    def test_repairs(self, given: Any, meant: dict[str, Any]) -> None:
        result = checked(given, SCHEMA)
        assert (result.arguments, result.problems) == (meant, [])

    @pytest.mark.parametrize(
        "given",
        [
            {"order_id": "33489175"},
            {"count": "three"},
            {"count": 0},
            {"gift": "maybe"},
            {"method": "bitcoin"},
            {"method": "card"},
            [1, 2],
            "rubbish",
        ],
    )
    def test_never_guesses(self, given: Any) -> None:
        assert checked(given, SCHEMA).problems

    def test_what_fits_is_left_alone(self) -> None:
        given = {"order_id": "3348917502", "count": 1, "amount": 1.5, "gift": False, "tags": ["a"]}
        result = checked(given, SCHEMA)
        assert (result.arguments, result.repairs) == (given, [])

    def test_what_is_missing_is_named(self) -> None:
        result = checked({}, SCHEMA | {"required": ["order_id"]})
        assert result.problems == ["'order_id' is a required property"]

    @pytest.mark.parametrize(
        ("said", "is_right"),
        [("it is 3348917502", True), ("#334-891-7502 please", True), ("where is my order", False), ("", False)],
    )
    def test_identifiers_stand_in_the_customers_words(self, said: str, is_right: bool) -> None:
        assert (not checked({"order_id": "3348917502"}, SCHEMA, said).problems) is is_right

    def test_defaults_are_filled_in(self) -> None:
        schema = {"type": "object", "properties": {"limit": {"type": "integer", "default": 3}}}
        assert checked({}, schema).arguments == {"limit": 3}


class TestClosest:
    def test_two_that_are_alike_are_none(self) -> None:
        assert closest("customer_nam", ["customer_name", "customer_names"]) is None

    def test_short_names_are_taken_as_they_are(self) -> None:
        assert closest("ip", ["id"]) is None


class TestTamed:
    def test_references_are_put_in_place(self) -> None:
        schema = {"properties": {"a": {"$ref": "#/$defs/x"}}, "$defs": {"x": {"type": "string"}}}
        assert tamed(schema) == {"properties": {"a": {"type": "string"}}, "type": "object"}

    def test_remote_references_are_dropped(self) -> None:
        assert tamed({"properties": {"a": {"$ref": "http://169.254.169.254/x"}}})["properties"] == {"a": {}}

    def test_a_reference_to_itself_is_refused(self) -> None:
        with pytest.raises(UnusableSchema):
            tamed({"properties": {"a": {"$ref": "#/properties/a"}}})

    @pytest.mark.parametrize("schema", ["text", None, {"type": "array"}])
    def test_what_describes_no_arguments_is_refused(self, schema: Any) -> None:
        with pytest.raises(UnusableSchema):
            tamed(schema)

    def test_nullable_is_optional(self) -> None:
        schema = {"properties": {"a": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None}}}
        assert tamed(schema)["properties"]["a"] == {"type": "string"}

    @pytest.mark.parametrize(
        ("pattern", "is_safe"),
        [
            (r"^\d{10}$", True),
            (r"^[A-Z]{2}-[0-9]+$", True),
            (r"(a+)+$", False),
            (r"(a|aa)+$", False),
            (r"(\w)\1", False),
            ("(", False),
            ("a" * 300, False),
        ],
    )
    def test_patterns_that_run_for_ever(self, pattern: str, is_safe: bool) -> None:
        assert safe_pattern(pattern) is is_safe
