"""What the environment says: one address, no misspelt names, a secret that stays."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from webapp import addresses, environment, secret

ROOT = Path(__file__).resolve().parents[2]


def test_without_an_address_this_machine_answers():
    derived = addresses.derive("")
    assert derived.hosts == ("localhost", "127.0.0.1", "[::1]")
    assert derived.origins == ()
    assert derived.secure is False


def test_one_address_sets_hosts_origins_and_cookies():
    derived = addresses.derive("https://ferry.example.org/")
    assert "ferry.example.org" in derived.hosts
    assert derived.origins == ("https://ferry.example.org",)
    assert derived.secure is True


def test_several_addresses_and_ports():
    derived = addresses.derive("http://10.0.0.5:8000, https://ferry.example.org")
    assert {"10.0.0.5", "ferry.example.org"} <= set(derived.hosts)
    assert "http://10.0.0.5:8000" in derived.origins
    assert derived.secure is False, "one of them is not https, so cookies must travel without it"


def test_an_ipv6_address_keeps_its_brackets():
    assert "[fe80::1]" in addresses.derive("http://[fe80::1]:8000").hosts


@pytest.mark.parametrize(
    "address", ["ferry.example.org", "https://", "https://a.example/ferry", "ftp://a.example"]
)
def test_addresses_that_cannot_be_are_refused_with_the_form(address):
    with pytest.raises(ImproperlyConfigured, match="https://"):
        addresses.derive(address)


def test_a_misspelt_name_stops_the_start_and_names_the_right_one():
    with pytest.raises(ImproperlyConfigured, match=r"FERRY_DTAA \(did you mean FERRY_DATA\?\)"):
        environment.check({"FERRY_DTAA": "/srv", "PATH": "/bin"})
    environment.check({variable.name: "x" for variable in environment.VARIABLES})


def test_every_variable_is_in_the_manual_and_nothing_else_is():
    manual = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    for variable in environment.VARIABLES:
        assert f"`{variable.name}`" in manual, variable.name
    import re

    known = {variable.name for variable in environment.VARIABLES}
    assert set(re.findall(r"FERRY_[A-Z_]+", manual)) <= known


def test_every_variable_is_read_somewhere():
    places = [
        *(ROOT / "webapp").rglob("*.py"),
        ROOT / "tests" / "conftest.py",
        *(ROOT / "tests" / "workers").glob("*.py"),
    ]
    places = [path for path in places if path.name != "environment.py"]
    text = "\n".join(path.read_text(encoding="utf-8") for path in places)
    for variable in environment.VARIABLES:
        assert f'"{variable.name}"' in text, variable.name


def test_the_secret_is_made_once_and_only_its_owner_reads_it(tmp_path):
    path = tmp_path / "secret_key"
    first = secret.load_or_make(path)
    assert secret.load_or_make(path) == first
    assert len(first) > 60
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["secret_key"]


def check_deploy(**environ: str) -> subprocess.CompletedProcess[str]:
    """Django's own deployment checks under an environment."""
    clean = {
        k: v for k, v in os.environ.items() if not k.startswith("FERRY_") and k != "DJANGO_SETTINGS_MODULE"
    }
    return subprocess.run(
        [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"],
        cwd=ROOT,
        env={**clean, "FERRY_DATA": os.environ["FERRY_DATA"], **environ},
        capture_output=True,
        text=True,
        check=False,
    )


def test_behind_https_djangos_deployment_checks_pass():
    done = check_deploy(FERRY_URL="https://ferry.example.org")
    assert done.returncode == 0, done.stderr


def test_an_unknown_name_ends_the_command_in_words():
    done = check_deploy(FERRY_COLOUR="blue")
    assert done.returncode != 0
    assert "FERRY_COLOUR" in done.stderr


def test_nothing_is_fetched_at_run_time():
    import django.conf

    assert django.conf.settings.configured
    assert os.environ["HF_HUB_OFFLINE"] == "1"
    assert os.environ["TRANSFORMERS_OFFLINE"] == "1"
