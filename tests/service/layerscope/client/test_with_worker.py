"""The client against the whole service: from texts to numbers."""

from layerscope import Client
from layerscope.names import COMPONENTS, SCOPES
from tests.support.programs.processes import RunningStack

LAYERS = 10


def test_from_texts_to_numbers(stack: RunningStack) -> None:
    texts = {"cpp": ["int main() {}", "int x = 3;"], "python": (f"print({i})" for i in range(3))}
    with Client(stack.base_url) as client:
        job = client.profile(texts, model="demo", name="client").wait(60)
        assert (job.status, job.progress.done) == ("succeeded", 5)
        assert len(job.results()) == 3 * len(COMPONENTS) * len(SCOPES) * LAYERS
        assert {row["ordinal"] for row in job.texts()} == set(range(5))
        found = job.comparison()
        assert {(row["domain_a"], row["domain_b"]) for row in found} == {("cpp", "python")}
        (demo,) = (model for model in client.models() if model.name == "demo")
        assert (demo.layers, demo.workers_alive) == (LAYERS, 1)
        assert "<svg" in job._repr_html_()
        job.delete()
