"""Who may call the API, read from the configuration: every problem at once, and no secret in sight."""

from __future__ import annotations

import pytest
from support.environment import SMALL_CONFIG

from enrichment_dagster.errors import ConfigurationError, SignatureError
from enrichment_dagster.gateway.api.callers import build_callers

CONFIG = (
    SMALL_CONFIG
    + """\
  enrich:
    callers:
      crm: {api_key_envs: [CRM_KEY, CRM_KEY_NEXT], callback_secret_env: CRM_CALLBACK_SECRET}
      forms: {api_key_envs: [FORMS_KEY]}
"""
)
KEYS = {"CRM_KEY": "crm-key-0001", "CRM_KEY_NEXT": "crm-key-0002", "FORMS_KEY": "forms-key-0001"}
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture
def built(make_settings):
    def build(**environment):
        settings = make_settings(CONFIG, **environment)
        return build_callers(settings, settings.config.intake.enrich)

    return build


def test_every_key_opens_for_its_caller(built):
    callers = built(**KEYS)
    names = [callers.identify({"x-api-key": key}).name for key in KEYS.values()]
    assert names == ["crm", "crm", "forms"]


def test_one_of_two_keys_is_enough(built):
    callers = built(**{name: key for name, key in KEYS.items() if name != "CRM_KEY"})
    assert callers.identify({"authorization": "Bearer crm-key-0002"}).name == "crm"
    with pytest.raises(SignatureError):
        callers.identify({"authorization": "Bearer crm-key-0001"})


def test_callbacks_are_signed_only_where_there_is_a_secret(built):
    assert built(**KEYS).named("crm").callback_key is None
    assert len(built(**KEYS, CRM_CALLBACK_SECRET=SECRET).named("crm").callback_key) == 24
    assert built(**KEYS).named("nobody") is None


def test_all_problems_are_told_at_once(built):
    with pytest.raises(ConfigurationError) as caught:
        built(CRM_CALLBACK_SECRET="no-secret-of-ours")
    told = "\n".join(caught.value.problems)
    assert len(caught.value.problems) == 3
    assert "CRM_KEY or CRM_KEY_NEXT" in told
    assert "FORMS_KEY" in told
    assert "CRM_CALLBACK_SECRET" in told
    assert "no-secret-of-ours" not in told


def test_two_callers_never_share_a_key(built):
    with pytest.raises(ConfigurationError, match="the key of another caller"):
        built(**{**KEYS, "FORMS_KEY": KEYS["CRM_KEY"]})


def test_no_key_is_shown(built):
    shown = repr(vars(built(**KEYS, CRM_CALLBACK_SECRET=SECRET)))
    assert not [key for key in (*KEYS.values(), SECRET) if key in shown]
