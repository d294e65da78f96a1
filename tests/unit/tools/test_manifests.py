"""`make manifests` finds fields that the schemas of KEDA do not have."""

from tools.manifests.keda import unknown_fields
from tools.manifests.rendering import is_of_keda

READ = {"spec": {"triggers": [{"type": "postgresql", "metadata": {"query": "select 1"}}]}}


def test_fields_that_were_read_are_known() -> None:
    assert unknown_fields(READ, READ) == []


def test_fields_that_were_not_read_are_named_with_their_place() -> None:
    given = {"spec": {"triggers": [{**READ["spec"]["triggers"][0], "typ": "x"}], "minReplicas": 0}}
    assert unknown_fields(given, READ) == [".spec.triggers[0].typ", ".spec.minReplicas"]


def test_only_manifests_of_keda_have_its_schemas() -> None:
    assert is_of_keda({"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject"})
    assert not is_of_keda({"apiVersion": "apps/v1", "kind": "Deployment"})
