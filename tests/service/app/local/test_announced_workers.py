"""Nobody is told that a model has no worker while its worker starts."""

from redis import Redis

from app.jobs.reports import Reports
from app.local.stack import running_stack
from app.settings import Settings


def test_the_workers_of_a_stack_are_announced_before_they_run(
    settings: Settings, database_url: str, redis: Redis
) -> None:
    with running_stack(settings, "127.0.0.1", 0, 1, ["demo"]):
        live = Reports(redis).read([], ["demo"])
    assert (set(live.loading), set(live.served or ())) == ({"demo"}, set())
