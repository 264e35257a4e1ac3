"""What is not seen without a right is said in words."""

from addonry.kube.controllers import RESOURCES
from addonry.kube.objects import API_SERVICES
from addonry.kube.surroundings import WORKLOADS
from addonry.rules.denied import HIDDEN, hidden_by


def test_every_list_of_the_inventory_says_what_it_hides():
    lists = {path.rpartition("/")[2] for path in (*WORKLOADS.values(), API_SERVICES)}
    lists |= {each.plural for each in RESOURCES} | {"version", "discovery", "nodes", "secrets", "configmaps"}
    assert HIDDEN.keys() >= lists


def test_a_list_that_is_not_known_hides_what_it_holds():
    assert hidden_by("widgets") == "what they hold"
