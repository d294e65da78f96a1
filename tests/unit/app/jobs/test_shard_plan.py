"""The division of texts into shards, and the fingerprint of a request."""

from app.jobs.shard_plan import ShardPlan, ShardSize


def test_the_plan_contains_each_ordinal_once_and_ends_shards_by_characters() -> None:
    plan = ShardPlan([], ShardSize(characters=10, texts=100))
    for text in ("a" * 4, "b" * 4, "c" * 4, "d" * 30, "e"):
        plan.add("x", text)
    assert [(s.first_ordinal, s.end_ordinal) for s in plan.shards] == [(0, 3), (3, 4), (4, 5)]


def test_the_fingerprint_depends_on_the_ends_of_texts() -> None:
    def fingerprint(*texts: tuple[str, str]) -> bytes:
        plan = ShardPlan(["demo"], ShardSize(10, 10))
        for domain, text in texts:
            plan.add(domain, text)
        return plan.request_sha256

    assert fingerprint(("a", "bc")) != fingerprint(("ab", "c"))
    assert fingerprint(("a", "b"), ("a", "c")) != fingerprint(("a", "c"), ("a", "b"))
    assert fingerprint(("a", "b")) == fingerprint(("a", "b"))


def test_the_fingerprint_depends_on_pairs_forms_and_errors() -> None:
    def fingerprint(*text: str | None) -> bytes:
        plan = ShardPlan(["demo"], ShardSize(10, 10))
        plan.add("a", "[1]", *text)
        plan.add("a", "b")
        return plan.request_sha256

    texts = [(), ("c",), (None, "c"), (None, None, "c"), ("c", "c"), (None, "messages"), (None, "token_ids")]
    assert len({fingerprint(*text) for text in texts}) == len(texts)
    assert fingerprint(None, None, None) == fingerprint()


def test_a_shard_ends_at_its_number_of_texts() -> None:
    plan = ShardPlan([], ShardSize(characters=1000, texts=2))
    for domain in "abcab":
        plan.add(domain, "text")
    assert [(s.first_ordinal, s.end_ordinal) for s in plan.shards] == [(0, 2), (2, 4), (4, 5)]
    assert [s.texts for s in plan.shards] == [{"a": 1, "b": 1}, {"c": 1, "a": 1}, {"b": 1}]
    assert [s.first_of for s in plan.shards] == [{"a": 0, "b": 1}, {"c": 2, "a": 3}, {"b": 4}]
    assert plan.texts == 5
