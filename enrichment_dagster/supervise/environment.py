"""The environment of supervised processes, and the files that Dagster wants in its home."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from assets.lanes import LANES
from enrichment_dagster.errors import ConfigurationError

LOCATION = "enrichment"
_OTHER_SENSORS = 4  # beside those of the lanes
_SENSOR_THREADS = 4 + 2 * (len(LANES) + _OTHER_SENSORS)
# Of the emulated SendGrid: it signs with a key that a receiver does not have.
_SENDGRID_PUBLIC_KEY = (
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE6vTDK0VANo/GE1RxrLEMfRjZwtDhuGuaL3hxOGzeTWC5X52V9e7evA2YgjXZS0MadgSeYWBNWnit"
    "3TIYRx610Q=="
)
_SENDGRID_PRIVATE_KEY = (
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgAHNhbmRib3ggc2VuZGdyaWQgc2lnbmluZyBrZXkgMDGhRANCAATq9MMrRUA2j8YT"
    "VHGssQx9GNnC0OG4a5oveHE4bN5NYLlfnZX17t68DZiCNdlLQxp2BJ5hYE1aeK3dMhhHHrXR"
)


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the processes listen; all on 127.0.0.1 unless ``host`` says otherwise."""

    host: str = "127.0.0.1"
    gateway: int = 8080
    webserver: int = 3000
    code_server: int = 4000
    sandbox: int = 9100

    @property
    def gateway_url(self) -> str:
        """Return where senders reach us on this machine."""
        return f"http://{self.host}:{self.gateway}"

    @property
    def webserver_url(self) -> str:
        """Return where the Dagster UI is."""
        return f"http://{self.host}:{self.webserver}"

    @property
    def sandbox_url(self) -> str:
        """Return where the emulators are."""
        return f"http://{self.host}:{self.sandbox}"


def sandbox_variables(ports: Ports) -> dict[str, str]:
    """Return the variables that point every adapter at the emulators, with keys that only they accept."""
    url = ports.sandbox_url
    return {
        "APOLLO_BASE_URL": f"{url}/apollo",
        "CLEARBIT_BASE_URL": f"{url}/clearbit",
        "ZEROBOUNCE_BASE_URL": f"{url}/zerobounce",
        "PEOPLE_DATA_LABS_BASE_URL": f"{url}/people_data_labs",
        "HUNTER_BASE_URL": f"{url}/hunter",
        "AI_BASE_URL": f"{url}/openai/v1",
        "CLAY_BASE_URL": f"{url}/clay/v1/webhook/demo",
        "COMPETITORS_BASE_URL": f"{url}/competitors",
        "HUBSPOT_BASE_URL": f"{url}/hubspot",
        "SALESFORCE_BASE_URL": f"{url}/salesforce",
        "APOLLO_API_KEY": "sandbox-apollo",
        "CLEARBIT_API_KEY": "sandbox-clearbit",
        "ZEROBOUNCE_API_KEY": "sandbox-zerobounce",
        "PEOPLE_DATA_LABS_API_KEY": "sandbox-people-data-labs",
        "HUNTER_API_KEY": "sandbox-hunter",
        "AI_API_KEY": "sandbox-ai",
        "CLAY_WEBHOOK_TOKEN": "sandbox-clay",
        "COMPETITORS_API_KEY": "sandbox-competitors",
        "HUBSPOT_ACCESS_TOKEN": "sandbox-hubspot",
        "SALESFORCE_CLIENT_ID": "sandbox-client",
        "SALESFORCE_CLIENT_SECRET": "sandbox-secret",
        "HUBSPOT_CLIENT_SECRET": "sandbox-hubspot-secret",
        "SALESFORCE_FLOW_SECRET": "sandbox-flow-secret",
        "HUBSPOT_CUSTOM_CODE_SECRET": "sandbox-custom-code-secret",
        "SEGMENT_SHARED_SECRET": "sandbox-segment-secret",
        "SENDGRID_PUBLIC_KEY": _SENDGRID_PUBLIC_KEY,
        "SENDGRID_PRIVATE_KEY": _SENDGRID_PRIVATE_KEY,
        "POSTMARK_WEBHOOK_LOGIN": "sandbox:postmark-password",
        "TWILIO_AUTH_TOKEN": "sandbox-twilio-token",
        "CLAY_EVENTS_SECRET": "sandbox-clay-events-secret",
        "G2_FORWARDER_SECRET": "sandbox-g2-secret",
        "BOMBORA_FORWARDER_SECRET": "sandbox-bombora-secret",
        "LINKEDIN_CLIENT_SECRET": "sandbox-linkedin-secret",
        "CLOUDEVENTS_TOKEN": "sandbox-cloudevents-token",
        "STANDARD_WEBHOOKS_SECRET": "whsec_c2FuZGJveC1zdGFuZGFyZC13ZWJob29rcy1zZWNyZXQ=",
        "ENRICH_API_KEY": "sandbox-enrich-key",
        "ENRICH_CALLBACK_SECRET": "whsec_c2FuZGJveC1lbnJpY2gtY2FsbGJhY2stc2VjcmV0",
        "ENRICHMENT_LOCAL_CALLBACKS": "1",
        "ENRICHMENT_PUBLIC_URL": ports.gateway_url,
    }


def process_environment(home: Path, ports: Ports, extra: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of every supervised process."""
    environment = {**os.environ, **extra}
    # Without byte code every run compiles 800 modules anew: twice the time and twice the processor.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    environment.update(
        {
            "DAGSTER_HOME": str(home / "dagster"),
            "ENRICHMENT_HOME": str(home),
            "ENRICHMENT_GATEWAY_URL": ports.gateway_url,
            # One pool answers ticks, run starts and the UI; waiting sensors must not use it up.
            "DAGSTER_GRPC_MAX_WORKERS": str(_SENSOR_THREADS),
            "DAGSTER_CODE_SERVER_MAX_WORKERS": str(_SENSOR_THREADS),
            "DAGSTER_DISABLE_TELEMETRY": "1",
        }
    )
    return environment


def prepare_dagster_home(home: Path, project: Path, ports: Ports) -> Path:
    """Write Dagster's home (its dagster.yaml and our workspace file) and return the workspace file.

    Raises:
        ConfigurationError: the project has no dagster.yaml.
    """
    source = project / "dagster.yaml"
    if not source.exists():
        raise ConfigurationError([f"{source}: not found; start from the folder that holds enrichment.yaml"])
    dagster_home = home / "dagster"
    dagster_home.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, dagster_home / "dagster.yaml")
    server = {"host": ports.host, "port": ports.code_server, "location_name": LOCATION}
    workspace = dagster_home / "workspace.yaml"
    workspace.write_text(yaml.safe_dump({"load_from": [{"grpc_server": server}]}), encoding="utf-8")
    return workspace
