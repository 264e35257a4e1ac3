"""Whose the components of other people's clusters are: each starting population, told as its people would tell it."""

import pytest

from addonry.kube.api import Api
from addonry.kube.inventory import take_inventory
from addonry.kube.kubeconfig import read_kubeconfig
from addonry.simulator import Simulator

POPULATIONS = {
    "kubeadm": {"coredns": "kubeadm", "kube-proxy": "kubeadm"},
    "k3s": {
        "coredns": "k3s Addon kube-system/coredns",
        "local-path-provisioner": "k3s Addon kube-system/local-storage",
        "traefik": "k3s HelmChart kube-system/traefik",
    },
    "rke2": {
        "rke2-coredns": "RKE2 HelmChart kube-system/rke2-coredns",
        "rke2-canal": "RKE2 HelmChart kube-system/rke2-canal",
    },
    "eks": {"coredns": "EKS add-on coredns", "aws-node": "EKS add-on vpc-cni"},
    "ack": {
        "coredns": "ACK component coredns",
        "logtail-ds": "ACK component logtail-ds",
        "ack-node-problem-detector": "Helm",
    },
    "platform": {
        "cert-manager": "Flux HelmRelease flux-system/cert-manager",
        "external-dns": "Argo CD Application argocd/external-dns",
        "ingress-nginx": "Helm",
        "coredns": "kubeadm",
        "source-controller": "Flux Kustomization flux-system/flux-system",
    },
}


@pytest.fixture(scope="module")
def simulator():
    with Simulator(clusters=0) as running:
        yield running


@pytest.mark.parametrize("population", POPULATIONS)
async def test_the_owners_of_a_population_are_told(simulator, population):
    cluster = simulator.add(population, snapshot=simulator.template(population, "1.32"))
    api = Api(read_kubeconfig(cluster.kubeconfig()), request_seconds=5)
    inventory = await take_inventory(api)
    await api.close()
    told = {
        each.placement.name: each.owner_ref.title if each.owner_ref else each.owner.value for each in inventory.found
    }
    expected = POPULATIONS[population]
    assert {name: told.get(name) for name in expected} == expected
    # The platform team's external-dns is the one thing that two owners fight over.
    assert {each.placement.name for each in inventory.found if each.conflicts} == (
        {"external-dns"} if population == "platform" else set()
    )
