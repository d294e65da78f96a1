"""Workers of one model agree on what can be chosen by timing."""

from sqlalchemy.orm import Session, sessionmaker

from app.tables import Model
from worker.loading import agree

FOUND = {"source": "demo", "machine": "A", "matmul": "onednn", "reduction": "eager"}


def test_the_first_worker_chooses_for_all_of_its_kind(sessions: sessionmaker[Session]) -> None:
    assert agree(sessions, "demo", FOUND) == FOUND
    assert agree(sessions, "demo", FOUND | {"matmul": "default"}) == FOUND
    with sessions() as session:
        assert session.get_one(Model, "demo").measured_with == FOUND


def test_another_machine_or_model_chooses_anew(sessions: sessionmaker[Session]) -> None:
    agree(sessions, "demo", FOUND)
    other = FOUND | {"machine": "B", "matmul": "default"}
    assert agree(sessions, "demo", other) == other
