"""Each sentence appears only if the numbers support it."""

from typing import Any

from layerscope.conclusions import conclusions


def said(*files: Any) -> list[str]:
    return [found.text for found in conclusions(*files)]


def row(domain: str, layer: int, value: float | None, **changes: Any) -> dict[str, Any]:
    members = {"domain": domain, "scope": "typical", "component": "block", "layer": layer, "texts": 52}
    interval = None if value is None else (value - 0.01, value + 0.01)
    low, high = interval or (None, None)
    return (
        members
        | {"relative_norm": value, "relative_norm_ci_low": low, "relative_norm_ci_high": high}
        | changes
    )


def rows(domain: str, *values: float | None, **changes: Any) -> list[dict[str, Any]]:
    return [row(domain, layer, value, **changes) for layer, value in enumerate(values)]


def pair(layer: int, q: float | None, g: float | None, **changes: Any) -> dict[str, Any]:
    key = {"metric": "relative_norm", "scope": "typical", "component": "block", "layer": layer}
    members = {
        "domain_a": "cpp",
        "domain_b": "python",
        "texts_a": 52,
        "texts_b": 54,
        "q_value": q,
        "hedges_g": g,
    }
    low, high = (None, None) if g is None else (g - 0.5, g + 0.5)
    return key | members | {"g_ci_low": low, "g_ci_high": high} | changes


def test_the_same_layers_in_every_domain_are_one_sentence() -> None:
    found = said(
        [*rows("cpp", 0.9, 0.2, 0.5, 0.6), *rows("python", 0.8, 0.1, 0.6, 0.5), *rows("*", 1, 1, 1, 1)], []
    )
    assert found == [
        "Layers 0, 3 and 2 write most in every domain, relative to the residual.",
        "In cpp, layer 0 writes 0.9 [0.89, 0.91] times the norm of the residual that enters it (n = 52).",
        "In python, layer 0 writes 0.8 [0.79, 0.81] times the norm of the residual that enters it (n = 52).",
    ]


def test_different_layers_are_named_for_each_domain() -> None:
    found = said([*rows("cpp", 0.9, 0.2, 0.5, 0.6), *rows("python", 0.1, 0.8, 0.6, 0.5)], [])
    assert [sentence.partition("(n = 52)")[2] for sentence in found] == [
        "; layers 3 and 2 follow.",
        "; layers 2 and 3 follow.",
    ]


def test_one_domain_is_not_every_domain() -> None:
    assert said(rows("cpp", 0.9, 0.2, 0.5, 0.6), [])[0] == (
        "Layers 0, 3 and 2 write most in cpp, relative to the residual."
    )


def test_without_an_interval_none_is_shown() -> None:
    values = rows("cpp", 0.9, 0.2, 0.5, 0.6, relative_norm_ci_low=None, relative_norm_ci_high=None, texts=1)
    found = said(values, [])
    assert "writes 0.9 times the norm" in found[1]
    assert (
        found[-1]
        == "Interpret with care: fewer than 8 texts in cpp (1). Their intervals assume normal values."
    )


def test_domains_with_few_texts_are_named() -> None:
    found = said([*rows("a", 3, 2, 1, 4, texts=7), *rows("b", 3, 2, 1, 4, texts=8)], [])
    assert (
        found[-1] == "Interpret with care: fewer than 8 texts in a (7). Their intervals assume normal values."
    )


def test_a_domain_without_typical_tokens_counts_with_all_its_texts() -> None:
    texts = {"a": 7, "b": 3, "c": 8, "d": 0, "*": 3}
    everything = [
        found for name, count in texts.items() for found in rows(name, 1, 2, scope="all", texts=count)
    ]
    found = said([*everything, *rows("a", 3, 2, 1, 4, texts=6)], [])
    assert found[-1].startswith("Interpret with care: fewer than 8 texts in a (6) and b (3).")
    assert said(everything, []) == []


def test_differences_are_counted_and_the_largest_is_named() -> None:
    compared = [pair(0, 0.01, 0.4), pair(1, 0.2, -3.0), pair(2, 0.001, -1.5), pair(3, None, None)]
    assert said([], compared) == [
        "cpp and python differ at 2 of 3 layers (q < 0.05), most at layer 2, where python has the larger "
        "value: Hedges' g = -1.5 [-2, -1] (n = 52 and 54)."
    ]


def test_only_one_metric_scope_and_component_are_compared() -> None:
    others = [
        pair(0, 0.01, 2.0, metric="cosine"),
        pair(0, 0.01, 2.0, scope="all"),
        pair(0, 0.01, 2.0, component="mlp"),
    ]
    assert said([], others) == []


def test_no_difference_is_stated() -> None:
    assert said([], [pair(0, 0.5, 0.1)]) == ["No layer differs between any two domains (q < 0.05)."]


def test_a_difference_without_an_effect_size_is_only_counted() -> None:
    found = said([], [pair(0, 0.01, None), pair(1, 0.5, 0.1)])
    assert found == ["cpp and python differ at 1 of 2 layers (q < 0.05)."]


def test_further_domains_and_pairs_are_counted() -> None:
    domains = [f"d{i}" for i in range(6)]
    results = [found for domain in domains for found in rows(domain, 0.9, 0.2, 0.5, 0.6)]
    pairs = [pair(0, 0.01, 1.0, domain_a=a, domain_b=b) for a in domains for b in domains if a < b]
    found = said(results, pairs)
    assert "results.csv has the same numbers of 2 more domains." in found
    assert found[-1] == "comparison.csv has 12 more pairs of domains."


def ablated(layer: int, cost: float | None, domain: str = "*") -> dict[str, Any]:
    changes = {"scope": "all", "ablation_nll": cost, "analysis_texts": 16}
    interval = {} if cost is None else {"ablation_nll_ci_low": cost - 0.1, "ablation_nll_ci_high": cost + 0.1}
    return row(domain, layer, 0.5, **changes, **interval)


def test_the_layer_that_costs_most_to_skip_is_named_and_whether_it_writes_little() -> None:
    costs = [ablated(0, 0.2), ablated(1, 2.0), ablated(2, None), ablated(3, 0.1), ablated(3, 9.0, "cpp")]
    assert said([*costs, *rows("*", 0.9, 0.1, 0.5, 0.6)], []) == [
        "Layer 1 costs most to skip: 2 [1.9, 2.1] nats per token (n = 16), although it writes less than half "
        "of the layers do."
    ]
    assert said([*costs, *rows("*", 0.1, 0.9, 0.5, 0.6)], []) == [
        "Layer 1 costs most to skip: 2 [1.9, 2.1] nats per token (n = 16)."
    ]


def test_nothing_measured_says_nothing() -> None:
    assert said([], []) == []
    assert said(rows("cpp", None, None, None, None), []) == []


def test_other_layers_that_cost_much_are_named_if_they_write_little() -> None:
    costs = [ablated(0, 5.0), ablated(1, 2.0), ablated(2, 1.0), ablated(3, 0.05)]
    assert said([*costs, *rows("*", 0.9, 0.1, 0.8, 0.6)], [])[1:] == [
        "Layer 1 writes less than half of the layers do, but costs 2 [1.9, 2.1] nats per token to skip "
        "(n = 16)."
    ]


def first(layer: int, value: float, ratio: float, **changes: Any) -> dict[str, Any]:
    members = {"domain": "*", "component": "block", "layer": layer, "value_1": value, "ratio_1": ratio}
    return members | {"unit_1": 7, "token_1": 0, "analysis_texts": 16} | changes


def test_the_layer_that_writes_the_first_massive_activation_is_named() -> None:
    layers = [first(0, 3, 9), first(1, -125, 900), first(2, -29_303.4, 16_438), first(3, -29_000, 16_000)]
    assert said([], [], layers) == [
        "Layer 2 writes the first massive activation: it raises the largest activation from 125 to 29,303, "
        "which is 16,438 times the median (unit 7 of token 0; n = 16)."
    ]
    assert said([], [], layers[:2]) == []
    assert said([], [], [first(0, None, None), first(1, None, None)]) == []  # type: ignore[arg-type]


def test_massive_tokens_are_counted() -> None:
    counts = {"texts": 203, "tokens": 42_401, "massive": 785, "massive_first": 203, "massive_share": 0.018514}
    assert said([], [], [], [{"domain": "*", "layer": layer} | counts for layer in (0, 1)]) == [
        "785 of 42,401 tokens are massive (1.85 %); 203 of the 203 texts start with one. Scope typical "
        "leaves them out."
    ]
    single = {"texts": 3, "tokens": 16, "massive": 1, "massive_first": 1, "massive_share": 0.0625}
    assert said([], [], [], [{"domain": "*", "layer": 0} | single]) == [
        "1 of 16 tokens is massive (6.25 %); 1 of the 3 texts starts with one. Scope typical leaves them out."
    ]


def test_each_sentence_names_its_chart() -> None:
    found = conclusions(rows("cpp", 0.9, 0.2, 0.5, 0.6, texts=3), [pair(0, 0.01, 0.4)])
    assert [conclusion.chart for conclusion in found] == ["profile", "profile", "effect", "domains"]
