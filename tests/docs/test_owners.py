"""The page of owners names them all, and the rights of a scan are those of the lists it makes."""

import yaml

from addonry.model.owners import Owner, Upkeep
from addonry.rules.denied import HIDDEN
from tests.docs.markdown import ROOT, examples, rows

PAGE = ROOT / "docs" / "reference" / "owners.md"


def test_the_page_has_each_owner_and_each_word_for_what_it_does():
    assert {row[0].strip("`") for row in rows(PAGE)} == set(Owner)
    text = PAGE.read_text()
    assert not [word for word in Upkeep if f"`{word}`" not in text]


def test_the_role_of_a_reader_allows_every_list_of_a_scan():
    guide = ROOT / "docs" / "guides" / "clusters.md"
    documents = [yaml.safe_load(each.text) for each in examples(guide, "yaml") if "addonry-reader" in each.text]
    (role,) = [each for each in documents if each["kind"] == "ClusterRole"]
    allowed = {resource for rule in role["rules"] for resource in rule["resources"]}
    # Everybody who is known to the cluster may ask for these.
    assert allowed >= HIDDEN.keys() - {"version", "discovery"}
