"""What is kept is never old, and never too much."""

from addonry.gateway.kept import Kept


def test_an_encoding_is_found_for_its_source_and_variant_only():
    kept, source = Kept(), {"a": 1}
    kept.keep("c1", source, "x", b"one")
    assert kept.find("c1", source, "x") == b"one"
    assert kept.find("c1", source, "y") is None
    assert kept.find("c2", source, "x") is None
    # An equal object is another one: what it stands for may have been read later.
    assert kept.find("c1", {"a": 1}, "x") is None


def test_a_new_source_replaces_all_of_the_old():
    kept, old, new = Kept(), {}, {}
    kept.keep("c1", old, "x", b"old")
    kept.keep("c1", old, "y", b"old")
    kept.keep("c1", new, "x", b"new")
    assert (kept.find("c1", new, "x"), kept.find("c1", new, "y"), kept.size) == (b"new", None, 3)


def test_what_is_kept_is_bounded_and_the_least_used_goes_first():
    kept, source = Kept(capacity=100), {}
    for name in ("a", "b"):
        kept.keep(name, source, "x", b"." * 40)
    kept.find("a", source, "x")
    kept.keep("c", source, "x", b"." * 40)
    assert [kept.find(name, source, "x") is not None for name in "abc"] == [True, False, True]
    assert kept.size == 80


def test_an_answer_over_the_bound_is_not_kept():
    kept, source = Kept(capacity=10), {}
    kept.keep("a", source, "x", b"." * 40)
    assert (kept.size, kept.find("a", source, "x")) == (0, None)
