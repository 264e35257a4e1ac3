"""Steps against a cluster that a test writes the answers of: what each makes of what it sees."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest

from addonry.kube import CrdChange, DryRun, Probe, Rollout
from addonry.lifecycle import waivers
from addonry.lifecycle.steps import (
    RUN,
    canary,
    common,
    crds,
    dry_run,
    hold,
    preflight,
    rollout,
    snapshot,
    verify,
    verify_gone,
    verify_rollback,
)
from addonry.lifecycle.world import Patience
from addonry.model.catalog import Note, ObsoleteSetting, VersionScope
from addonry.model.components import Found, Health
from addonry.model.errors import ClusterUnreachable
from addonry.model.owners import Owner, OwnerRef, Upkeep
from addonry.model.surroundings import Nodes, Surroundings
from addonry.model.tasks import Again, Broken, Done, Edits, Snapshot, StepName, StepRecord
from addonry.rules.planning import BACK, CANARY, FORWARD, HOLDING, REMOVAL
from tests.builders import NOW, a_change, a_cluster, a_component, a_task, an_entry, an_offer

WELL = Rollout(100, Health.CURRENT, "Deployment coredns: 2 of 2 available")
MOVING = Rollout(50, Health.IN_PROGRESS, "Deployment coredns: 1 of 2 updated")
STALLED = Rollout(50, Health.FAILED, "container coredns is in ImagePullBackOff", "ImagePullBackOff")


@dataclass
class WrittenCluster:
    """A LiveCluster that sees what the test wrote."""

    found: Found | None = None
    looks: list[Rollout] = field(default_factory=list)
    health: Rollout = WELL
    judged: DryRun = field(default_factory=lambda: DryRun(3))
    crds: tuple[CrdChange, ...] = ()
    written: int = 0
    away: bool = False
    holds: int = 0
    recorded: Snapshot = field(default_factory=lambda: Snapshot(revision=4))
    around: Surroundings = field(default_factory=Surroundings)
    lacking: tuple[str, ...] = ()
    texts: Mapping[str, str] = field(default_factory=dict)

    async def look_around(self):
        return self.around

    async def missing_rights(self, _placement):
        return self.lacking

    async def config_map(self, _namespace, _name):
        return self.texts

    async def probe(self):
        return Probe("v1.36.2", 3, "https://10.0.0.1")

    async def find(self, _placement):
        return self.found

    async def dry_run(self, _placement, _target):
        return self.judged

    async def snapshot(self, _placement):
        return self.recorded

    async def crd_changes(self, _placement, _target, *, of_templates):
        del of_templates
        return self.crds

    async def apply_crds(self, _placement, _target):
        self.written += 1
        return len(self.crds)

    async def hold(self, _placement):
        if self.away:
            raise ClusterUnreachable("no answer")
        self.holds += 1
        return "held"

    async def assess_health(self, _placement):
        return self.health

    async def follow_rollout(self, _placement) -> AsyncIterator[Rollout]:
        for look in self.looks:
            yield look
        await asyncio.Event().wait()


@pytest.fixture
def live(world) -> WrittenCluster:
    cluster = WrittenCluster(found=a_component("1.0.0").found)
    world.connections._open_clusters[a_task().cluster] = cluster
    return cluster


def at(step: StepName, **given):
    plan = (*FORWARD, *BACK)
    return a_task(a_change(plan=plan, position=plan.index(step), **given))


async def begun(world, task, ago: timedelta) -> None:
    """The step began *ago*, by an earlier worker."""
    await world.store.submit(task, [], lambda _connection: None)
    claimed = await world.store.claim(task.id, run=1, claim="x")
    record = StepRecord(task.change.component, task.change.step, NOW - ago)
    await world.store.save(claimed, claim="x", steps=[record])


def test_every_step_of_every_plan_has_its_function():
    assert set(RUN) == {*FORWARD, *CANARY, *HOLDING, *REMOVAL, *BACK} == set(StepName)


async def test_preflight_asks_the_cluster_itself(world, live):
    assert isinstance(await preflight.run(at(StepName.PREFLIGHT), world), Done)
    live.found = a_component("1.0.0", health=Health.FAILED, message="CrashLoopBackOff").found
    outcome = await preflight.run(at(StepName.PREFLIGHT), world)
    assert (outcome.trouble.code, bool(outcome.trouble.remedy)) == ("WorkloadUnhealthy", True)


async def test_preflight_repeats_what_publishers_say_of_the_way(world, live, catalog):
    """A plan shows its remarks, and so does the task that follows."""
    hole = an_offer("1.1.0", fixes_security=True, notes=(Note("security", "Closes a hole"),))
    entry, (newer, target, _, *older) = catalog.known["coredns"]
    catalog.known["coredns"] = (entry, (newer, target, hole, *older))
    outcome = await preflight.run(at(StepName.PREFLIGHT, to_version="1.2.0"), world)
    [remark] = outcome.remarks
    assert "came with 1.1.0. Closes a hole" in remark


async def test_preflight_asks_for_rights_and_for_what_lies_around(world, live):
    """Much can change between an answer and the upgrade, and the rights are asked for only now."""
    live.lacking = ("patch deployments.apps in kube-system",)
    outcome = await preflight.run(at(StepName.PREFLIGHT), world)
    assert (outcome.trouble.code, "patch deployments.apps" in outcome.trouble.message) == ("RightsMissing", True)
    live.lacking = ()
    live.around = Surroundings(nodes=Nodes(2, not_ready=("a", "b")))
    outcome = await preflight.run(at(StepName.PREFLIGHT), world)
    assert outcome.trouble.code == "NoNodeReady"


async def test_preflight_lets_pass_what_was_waived(world, live):
    live.around = Surroundings(nodes=Nodes(2, free_pods=1))
    outcome = await preflight.run(at(StepName.PREFLIGHT), world)
    assert outcome.trouble.code == "NoPodSlots"
    terms = {"reason": "the autoscaler adds nodes", "until": "2026-12-31", "owner": "ann"}
    await waivers.add(world, a_task().cluster, "NoPodSlots", "", **terms)
    assert isinstance(await preflight.run(at(StepName.PREFLIGHT), world), Done)


async def test_preflight_reads_the_configuration_that_the_version_must_understand(world, live, catalog):
    """A setting that was dropped keeps a new pod from starting, which a rollout would find out the hard way."""
    dropped = ObsoleteSetting(
        VersionScope(">=1.1"),
        "coredns",
        "Corefile",
        r"^\s*upstream\b",
        "upstream is gone.",
        "Remove it.",
        "https://x.test",
    )
    _, offers = catalog.known["coredns"]
    catalog.known["coredns"] = (an_entry("coredns", obsolete=(dropped,)), offers)
    live.texts = {"Corefile": ".:53 {\n    upstream\n}"}
    outcome = await preflight.run(at(StepName.PREFLIGHT), world)
    assert outcome.trouble.code == "ObsoleteSetting"
    live.texts = {"Corefile": ".:53 {\n    forward . /etc/resolv.conf\n}"}
    assert isinstance(await preflight.run(at(StepName.PREFLIGHT), world), Done)


async def test_preflight_sees_that_somebody_else_was_there_first(world, live):
    live.found = a_component("1.0.1").found
    outcome = await preflight.run(at(StepName.PREFLIGHT), world)
    assert outcome.trouble.code == "VersionChanged"


async def test_preflight_knows_whose_it_is_by_the_last_scan(world, live):
    """One component alone does not show what its controllers say; and who hands it over meanwhile is believed."""
    live.found = a_component("1.0.0", health=Health.CURRENT).found
    flux = OwnerRef(Owner.FLUX, "HelmRelease", "flux-system", "coredns", Upkeep.CORRECTS)
    for ref, expected in ((flux, "ManagedElsewhere"), (replace(flux, upkeep=Upkeep.PAUSED), None)):
        known = a_component("1.0.0", owner=Owner.FLUX, owner_ref=ref)
        await world.store.save_inventory(a_cluster(), [known], Surroundings())
        outcome = await preflight.run(at(StepName.PREFLIGHT), world)
        assert (outcome.trouble.code if isinstance(outcome, Broken) else None) == expected


@pytest.mark.parametrize(("edits", "words"), [(Edits.OVERWRITE, "taken over from"), (Edits.PRESERVE, "kept as")])
async def test_fields_of_others_are_told_with_what_becomes_of_them(world, live, monkeypatch, edits, words):
    """Before anything is written: afterwards nobody could tell whose the field was."""
    live.judged = DryRun(3, (("spec.replicas", "kubectl"),))
    monkeypatch.setattr(dry_run, "target_of", _no_target)
    outcome = await dry_run.run(at(StepName.DRY_RUN, edits=edits), world)
    assert outcome.note == "3 objects accepted"
    (remark,) = outcome.remarks
    assert "spec.replicas" in remark
    assert words in remark
    assert "kubectl" in remark


async def test_fields_of_others_stop_a_change_that_tolerates_none(world, live, monkeypatch):
    live.judged = DryRun(3, (("spec.replicas", "kubectl"),))
    monkeypatch.setattr(dry_run, "target_of", _no_target)
    outcome = await dry_run.run(at(StepName.DRY_RUN, edits=Edits.NONE), world)
    assert outcome.trouble.code == "FieldsOfOthers"
    assert "spec.replicas (kubectl)" in outcome.trouble.message


async def test_crds_that_change_are_told_to_be_beyond_recall(world, live, monkeypatch):
    live.crds = (CrdChange("widgets.example.test", None, {}),)
    monkeypatch.setattr(dry_run, "target_of", _no_target)
    (remark,) = (await dry_run.run(at(StepName.DRY_RUN), world)).remarks
    assert "widgets.example.test" in remark
    assert "not taken back" in remark


NARROWED = CrdChange(
    "widgets.example.test",
    {"spec": {"versions": [{"name": "v1", "schema": {"openAPIV3Schema": {"type": "object", "maxProperties": 9}}}]}},
    {"spec": {"versions": [{"name": "v1", "schema": {"openAPIV3Schema": {"type": "object", "maxProperties": 8}}}]}},
)


@pytest.mark.parametrize(("step", "name"), [(dry_run, StepName.DRY_RUN), (crds, StepName.CRDS)])
async def test_an_unsafe_change_of_a_crd_stops_a_change_before_anything_is_written(
    world, live, monkeypatch, step, name
):
    """A rollback would not bring back what it breaks."""
    live.crds = (NARROWED,)
    monkeypatch.setattr(step, "target_of", _no_target)
    outcome = await step.run(at(name), world)
    assert outcome.trouble.code == "UnsafeCrdChange"
    assert "widgets.example.test v1 has its maxProperties narrowed from 9 to 8" in outcome.trouble.message
    assert "--allow-unsafe-crds" in outcome.trouble.remedy
    assert live.written == 0
    assert isinstance(await step.run(at(name, unsafe_crds=True), world), Done), "somebody has said that it is wanted"


async def test_a_pause_is_granted_although_the_cluster_cannot_be_held(world, live):
    """Whoever pauses a task of a dead cluster must not wait ten minutes for it."""
    live.away = True
    outcome = await hold.run(at(StepName.ROLLOUT), world)
    assert isinstance(outcome, Done)
    assert "not held" in outcome.note
    live.away = False
    assert await hold.run(at(StepName.ROLLOUT), world) == Done("held")


FIRST = replace(MOVING, updated=1, updated_ready=0, total=2)


@pytest.mark.parametrize(
    ("looks", "done"),
    [
        ([MOVING], False),
        ([FIRST], False),
        ([replace(FIRST, updated_ready=1)], True),
        ([WELL], True),
    ],
)
async def test_a_canary_is_over_once_the_first_pods_are_held_and_ready(world, live, looks, done):
    live.looks = looks
    outcome = await canary.run(at(StepName.ROLLOUT), world)
    assert isinstance(outcome, Done if done else Again)
    assert live.holds == (looks[0].updated > 0), "held as soon as there is one, ready or not"


async def test_a_canary_whose_first_pods_fail_is_broken_by_their_reason(world, live):
    live.looks = [STALLED]
    assert (await canary.run(at(StepName.ROLLOUT), world)).trouble.code == "ImagePullBackOff"


async def test_what_was_uninstalled_must_be_gone(world, live):
    """Something may install it anew: Flux, for one."""
    outcome = await verify_gone.run(at(StepName.VERIFY), world)
    assert outcome.trouble.code == "StillThere"
    live.found = None
    assert isinstance(await verify_gone.run(at(StepName.VERIFY), world), Done)


async def _no_target(_task, _world):
    return None


async def test_an_upgrade_without_a_way_back_is_not_begun(world, live):
    live.recorded = Snapshot()
    outcome = await snapshot.run(at(StepName.SNAPSHOT), world)
    assert outcome.trouble.code == "NothingToGoBackTo"
    live.recorded = Snapshot(revision=4)
    assert (await snapshot.run(at(StepName.SNAPSHOT), world)).snapshot == Snapshot(revision=4)


@pytest.mark.parametrize(
    ("looks", "expected"),
    [
        ([WELL], Done(WELL.note)),
        ([MOVING], Again(0.0, MOVING.note, percent=50)),
        ([MOVING, WELL], Again(0.0, MOVING.note, percent=50)),
    ],
)
async def test_a_rollout_is_told_as_it_goes(world, live, looks, expected):
    live.looks = looks
    assert await rollout.run(at(StepName.ROLLOUT), world) == expected


async def test_a_rollout_that_is_known_already_is_followed_on(world, live):
    live.looks = [MOVING, WELL]
    assert await rollout.run(at(StepName.ROLLOUT, note=MOVING.note), world) == Done(WELL.note)


async def test_a_stall_is_broken_by_its_name(world, live):
    live.looks = [STALLED]
    outcome = await rollout.run(at(StepName.ROLLOUT), world)
    assert outcome.trouble.code == "ImagePullBackOff"
    assert "ImagePullBackOff" in outcome.trouble.message


async def test_a_rollout_that_never_changes_ends_with_its_own_words(world, live, monkeypatch):
    """Pods that run and never get ready: nothing is told any more, and patience ends all the same."""
    monkeypatch.setattr(common, "FIRST_LOOK_SECONDS", 0.05)
    live.looks = [MOVING]
    impatient = replace(world, patience=Patience(rollout=0.0))
    outcome = await rollout.run(at(StepName.ROLLOUT, note=MOVING.note), impatient)
    assert outcome.trouble.code == "RolloutTimeout"
    assert MOVING.note in outcome.trouble.message


async def test_a_rollout_that_ended_well_while_nobody_looked_is_well(world, live):
    """A worker that was away for longer than all patience finds the pods ready."""
    task = at(StepName.ROLLOUT)
    await begun(world, task, timedelta(hours=1))
    live.looks = [WELL]
    assert await rollout.run(task, world) == Done(WELL.note)


async def test_verify_waits_for_what_settles_and_not_for_ever(world, live):
    live.found = a_component("1.1.0").found
    live.health = MOVING
    task = at(StepName.VERIFY)
    assert isinstance(await verify.run(task, world), Again)
    await begun(world, task, timedelta(hours=1))
    outcome = await verify.run(task, world)
    assert isinstance(outcome, Broken)
    assert MOVING.note in outcome.trouble.message


async def test_verify_stores_what_it_saw_before_the_task_ends(world, live):
    """Or the answer after Success would still tell of the old version."""
    live.found = a_component("1.1.0").found
    assert isinstance(await verify.run(at(StepName.VERIFY), world), Done)
    (stored,) = await world.store.components(a_task().cluster)
    assert stored.version == "1.1.0"


async def test_verify_does_not_believe_in_the_wrong_version(world, live):
    outcome = await verify.run(at(StepName.VERIFY), world)
    assert outcome.trouble.code == "VersionChanged"


async def test_the_way_back_ends_when_the_old_version_is_well(world, live):
    assert isinstance(await verify_rollback.run(at(StepName.VERIFY_ROLLBACK), world), Done)
    live.health = MOVING
    assert isinstance(await verify_rollback.run(at(StepName.VERIFY_ROLLBACK), world), Again)


async def test_a_first_installation_that_was_taken_back_leaves_nothing(world, live):
    live.found = None
    outcome = await verify_rollback.run(at(StepName.VERIFY_ROLLBACK, from_version=""), world)
    assert outcome == Done("nothing is left of it")
    assert await world.store.components(a_task().cluster) == ()


async def test_a_component_that_is_gone_after_the_way_back_is_told(world, live):
    live.found = None
    outcome = await verify_rollback.run(at(StepName.VERIFY_ROLLBACK), world)
    assert outcome.trouble.code == "RollbackFailed"
