"""What ``addonry serve`` says when it starts, and when it cannot."""

import os
import signal
import socket
import subprocess
import sys

import pytest

from addonry.simulator.tls import Authority

AUTHORITY = Authority("a test's")


def serve(*arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "addonry", "serve", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Nothing is listened to there, so that no test reaches a network.
        env={**os.environ, "ADDONRY_CHART_MIRROR": "http://127.0.0.1:1"},
    )


def test_a_first_start_logs_nothing_of_the_libraries_workings(tmp_path):
    """A new data directory is migrated, which Alembic has ten lines to say about, and uvicorn one for each turn."""
    process = serve("--data", str(tmp_path / "data"), "--listen", "127.0.0.1:0")
    assert process.stdout is not None
    assert "http://127.0.0.1:" in process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    _, log = process.communicate(timeout=20)
    assert process.returncode == 0
    assert [line for line in log.splitlines() if "alembic" in line or "uvicorn" in line] == []


@pytest.mark.parametrize("address", ["nonsense", "127.0.0.1:99999", "127.0.0.1:8080x", "127.0.0.1:", "127.0.0.1:-1"])
def test_an_address_that_is_none_is_wrong_usage(alone, tmp_path, address):
    result = alone("serve", "--data", str(tmp_path), "--listen", address)
    assert result.exit_code == 2
    assert f"'{address}' is not HOST:PORT. Give another" in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_port_that_is_taken_is_no_wrong_usage(alone, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        result = alone("serve", "--data", str(tmp_path), "--listen", f"127.0.0.1:{taken.getsockname()[1]}")
    assert result.exit_code == 1
    assert "Address already in use. Give another address with --listen" in result.stderr
    assert "[Errno" not in result.stderr


@pytest.mark.parametrize("broken", ["missing", "no certificate", "another's key"])
def test_a_certificate_that_cannot_be_served_with_is_named_before_anything_starts(alone, tmp_path, broken):
    data, chain, key = tmp_path / "data", tmp_path / "server.crt", tmp_path / "server.key"
    issued = AUTHORITY.issue("127.0.0.1")
    chain.write_bytes(issued.certificate)
    key.write_bytes(issued.key)
    match broken:
        case "missing":
            chain.unlink()
        case "no certificate":
            chain.write_text("rubbish")
        case _:
            key.write_bytes(AUTHORITY.issue("127.0.0.1").key)
    result = alone(
        *("serve", "--data", str(data), "--listen", "127.0.0.1:0", "--tls-cert", str(chain), "--tls-key", str(key))
    )
    assert result.exit_code == 2
    assert str(chain) in result.stderr
    assert "fault of Addonry" not in result.stderr
    assert not data.exists()


@pytest.mark.parametrize("command", [["serve", "--listen", "127.0.0.1:0"], ["clusters", "list"]])
@pytest.mark.parametrize("place", ["file", "file/below"])
def test_a_data_directory_that_cannot_be_one_is_told_with_what_to_do(alone, tmp_path, command, place):
    (tmp_path / "file").write_text("")
    data = tmp_path / place
    result = alone(*command, "--data", str(data))
    assert result.exit_code == 1
    assert f"The data directory {data} cannot be used: " in result.stderr
    assert "--data" in result.stderr
    assert "fault of Addonry" not in result.stderr
