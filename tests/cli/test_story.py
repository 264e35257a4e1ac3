"""The demo says so when a part of its story does not come true."""

import contextlib

import pytest

from addonry.cli import story
from addonry.cli.story import NotTrue, Story


def a_story():
    """Without a setting: enough for parts that need none."""
    return Story(clusters=None, service=None)  # type: ignore[arg-type]


def test_a_claim_that_does_not_hold_names_its_part_and_what_was_seen():
    told = a_story()
    told.part = "Ask for the status"
    with pytest.raises(NotTrue, match=r"'Ask for the status' did not come true: all is well.*Seen: smoke"):
        told.claim("all is well", False, "smoke")


def test_a_demo_whose_story_does_not_come_true_ends_1(alone, monkeypatch):
    ended = []

    @contextlib.contextmanager
    def setting(_folder, *, clusters):
        assert clusters == 2
        yield a_story()
        raise AssertionError("a failed story must not go on")

    def fail(told):
        told.claim("the moon is made of cheese", False)

    monkeypatch.setattr(story, "setting", setting)
    monkeypatch.setattr(story, "PARTS", (("Look up", fail), ("Never told", ended.append)))
    result = alone("demo", "--clusters", "2")
    assert result.exit_code == 1
    assert "'Look up'" in result.stderr
    assert result.stderr.count("\n") == 1
    assert "Everything came true" not in result.stdout
    assert ended == []


def test_every_part_of_the_story_has_a_title_of_its_own():
    titles = [title for title, _ in story.PARTS]
    assert len(titles) == len(set(titles)) == 8
