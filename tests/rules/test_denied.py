"""What is not seen without a right is said in words; that every list has some, the inventory's tests see to."""

from addonry.rules.denied import hidden_by


def test_a_list_says_what_it_hides_and_one_that_is_not_known_what_it_holds():
    assert "ConfigMaps" in hidden_by("configmaps")
    assert hidden_by("widgets") == "what they hold"
