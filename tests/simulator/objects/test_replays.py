"""Recorded writes of a real kube-apiserver, played in order; see fixtures/README.md."""

from __future__ import annotations

import pytest

from .replay import OneDict, Refused, comparable, exchanges, failure, owners

RECORDINGS = ("server-side-apply.jsonl", "patch.jsonl", "refusals.jsonl")

# The Job controller's labels and selector are in the answer.
MADE_BY_CONTROLLERS = {"Job created suspended"}


@pytest.mark.parametrize("recording", RECORDINGS)
def test_every_recorded_write_ends_as_on_the_real_server(recording):
    """Objects, owners and refusals are compared after each step, so a wrong state cannot hide behind a later one."""
    server = OneDict()
    for exchange in exchanges(recording):
        step = exchange["step"]
        if exchange["status"] >= 300:
            status, message = failure(server, exchange)
            assert (status, _core(message)) == (exchange["status"], _core(exchange["answer"]["message"])), step
            continue
        stored = server.play(exchange)
        if exchange["subresource"] == "scale" or step in MADE_BY_CONTROLLERS:
            continue
        assert comparable(stored) == comparable(exchange["answer"]), step
        assert sorted(owners(stored), key=str) == sorted(owners(exchange["answer"]), key=str), step


def _core(message: str) -> str:
    """A message without the patched object that some messages quote in full."""
    if message.startswith(' "" is invalid: patch: Invalid value: '):
        return message[message.index("strict decoding") :] if "strict decoding" in message else "patch"
    return message


def test_causes_of_a_refusal_name_reason_and_field_as_recorded():
    server = OneDict()
    seen = 0
    for exchange in exchanges("refusals.jsonl"):
        if exchange["status"] < 300:
            server.play(exchange)
            continue
        with pytest.raises(Refused) as refusal:
            server.play(exchange)
        if refusal.value.details:
            assert refusal.value.details == exchange["answer"]["details"], exchange["step"]
            seen += 1
    assert seen >= 15


def test_a_step_that_changes_nothing_gives_back_the_live_object_itself():
    """The caller keeps the resourceVersion when it gets back what it handed in."""
    steps = [exchange for exchange in exchanges("server-side-apply.jsonl") if exchange["status"] < 300]
    create, again = steps[0], steps[1]
    assert again["step"] == "apply again, no change"
    server = OneDict()
    first = server.play(create)
    assert server.play(again) is first
