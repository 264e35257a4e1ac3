"""Who still asks for APIs that go, by the API server's own count."""

from addonry.model.readiness import Severity
from addonry.rules.readiness.apis import requested_apis_will_stay
from addonry.rules.removed_apis import Requested, requested_in

# The form is that of the deprecation guide's own example; the second kind is a subresource of the first.
METRICS = """\
# HELP apiserver_requested_deprecated_apis [STABLE] Gauge of deprecated APIs that have been requested.
# TYPE apiserver_requested_deprecated_apis gauge
apiserver_requested_deprecated_apis{group="flowcontrol.apiserver.k8s.io",removed_release="1.32",resource="flowschemas",subresource="",version="v1beta3"} 1
apiserver_requested_deprecated_apis{group="flowcontrol.apiserver.k8s.io",removed_release="1.32",resource="flowschemas",subresource="status",version="v1beta3"} 1
apiserver_requested_deprecated_apis{group="",removed_release="",resource="componentstatuses",subresource="",version="v1"} 1
apiserver_requested_deprecated_apis{group="policy",removed_release="1.25",resource="podsecuritypolicies",subresource="",version="v1beta1"} 0
apiserver_request_total{group="apps",resource="deployments",version="v1"} 5
"""
GOING = Requested("flowcontrol.apiserver.k8s.io/v1beta3 flowschemas", "1.32")


def test_what_is_going_to_be_removed_is_read_once_and_nothing_else():
    """What is deprecated without an end, and what nobody has asked for, holds up no upgrade."""
    assert requested_in(METRICS) == (GOING,)
    assert requested_in("") == requested_in("no metrics at all\x00{") == ()


def test_a_request_matters_to_the_version_that_no_longer_serves_it_and_to_those_after():
    for target in ("v1.32.0", "1.33", "v1.37.0-rc.1"):
        finding = requested_apis_will_stay([GOING], target)
        assert finding is not None
        assert (finding.id, finding.severity) == ("RemovedApiRequested", Severity.WARNS)
        assert "flowcontrol.apiserver.k8s.io/v1beta3 flowschemas (gone in 1.32)" in finding.message
    assert requested_apis_will_stay([GOING], "v1.31.4") is None
    assert requested_apis_will_stay([], "v1.37.0") is None


def test_a_cluster_that_does_not_tell_is_no_cluster_that_nobody_asks():
    finding = requested_apis_will_stay(None, "v1.37.0")
    assert finding is not None
    assert (finding.id, finding.remedy) == ("NotChecked", "Allow to get the path /metrics.")
