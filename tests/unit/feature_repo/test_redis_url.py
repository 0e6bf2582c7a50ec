"""A Redis URL in Feast's form."""

from __future__ import annotations

import pytest
from feast.infra.online_stores.redis import RedisOnlineStore

from crossmix.config import ConfigError
from feature_repo import redis_url
from feature_repo.redis_url import feast_form, online_store

LIMITS = ",socket_timeout=5,socket_connect_timeout=5"


@pytest.mark.parametrize(
    ("address", "form"),
    [
        ("redis://redis:6379/0", "redis:6379,db=0"),
        ("redis://redis", "redis:6379,db=0"),
        ("redis://:p%40ss@redis:7000/3", "redis:7000,db=3,password=p@ss"),
        ("rediss://ann:123@redis/1", 'redis:6379,db=1,username=ann,password="123",ssl=true'),
        ("redis:6379", "redis:6379"),
        ("redis:6379,db=2,password=x", "redis:6379,db=2,password=x"),
    ],
)
def test_a_url_and_feasts_own_form(address: str, form: str) -> None:
    assert feast_form(address) == form + LIMITS
    assert feast_form(feast_form(address)) == form + LIMITS
    nodes, options = RedisOnlineStore._parse_connection_string(form + LIMITS)
    assert nodes[0]["host"] == "redis"
    assert options["socket_timeout"] == 5
    assert isinstance(options.get("password", ""), str)


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("", "it names no Redis"),
        ("redis", "it names no Redis"),
        ("http://redis:6379", "http:// names no Redis"),
        ("redis://:secret@redis:port/0", "its port is none"),
        ("redis://redis/one", "database 'one' is no number"),
        ("redis://:a,b@redis", "the password has a comma"),
    ],
)
def test_what_names_none_is_refused_without_the_password(address: str, told: str) -> None:
    with pytest.raises(ConfigError, match=f"^CROSSMIX_REDIS: {told}") as error:
        feast_form(address)
    assert "secret" not in str(error.value)


def test_a_folder_names_the_variable_and_not_what_is_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(redis_url.VARIABLE, "redis://:secret@redis")
    assert online_store() == {"type": "redis", "connection_string": "${CROSSMIX_REDIS}"}
    monkeypatch.delenv(redis_url.VARIABLE)
    with pytest.raises(ConfigError, match="CROSSMIX_REDIS: it names no Redis; set it"):
        online_store()
