"""Schemathesis over our OpenAPI document: whatever fits it, or nearly does, is answered as the document says.

A 5xx would be our own fault, and an answer that is not in the document one that clients do not know.
"""

import asyncio
import itertools
import json
from typing import Any
from urllib.parse import quote, urlencode

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.specs.openapi.checks import response_schema_conformance, status_code_conformance

from addonry.gateway import GatewaySettings, build_gateway
from addonry.gateway.openapi import describe
from addonry.gateway.signing import sign_request
from tests.wire.driver import HOST, exchange
from tests.wire.fakes import KEY, NOW, SECRET, a_lifecycle

schema = schemathesis.openapi.from_dict(json.loads(json.dumps(describe())))
