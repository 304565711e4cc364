"""The environment wins over the file, the file over the default; what is wrong is named and never repeated."""

import json
import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from service.protocol.lmtp.session import MAX_LINE_OCTETS
from service.protocol.pop3.commands import MAX_AUTH_LINE_OCTETS
from service.settings import Settings, SettingsError, explain, load, load_settings
from service.settings.explaining import masked_url
from service.settings.listening import ListenerSettings
from service.settings.section import Section

SECRET = "hunter2-and-more"


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.upper().startswith("POPLAR_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def written(tmp_path: Path) -> Path:
    path = tmp_path / "poplar.yaml"
    path.write_text("http: {port: 9001}\ndatabase:\n  deadline: 3\n", "utf-8")
    return path


def problems(path: Path | None = None) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load_settings(path)
    return str(caught.value).splitlines()


def listener(**values: object) -> ListenerSettings:
    return ListenerSettings.model_validate({"name": "a", "protocol": "pop3", "port": 110, **values})


def test_without_file_and_environment_the_defaults_hold() -> None:
    settings = load_settings()
    assert settings.http.port == 8080
    assert [each.port for each in settings.listeners] == [110, 995, 24]


def test_the_file_wins_over_the_default_and_the_environment_over_the_file(
    written: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POPLAR_HTTP__PORT", "9002")
    settings = load_settings(written)
    assert settings.http.port == 9002
    assert settings.database.deadline == 3


def test_poplar_config_names_the_file(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POPLAR_CONFIG", str(written))
    assert load_settings().http.port == 9001


@pytest.mark.parametrize("secret", [None, "", "x" * 31])
def test_scram_without_its_secret_is_an_error(secret: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POPLAR_HASHING__SCRAM", "true")
    if secret is not None:
        monkeypatch.setenv("POPLAR_HASHING__SCRAM_SECRET", secret)
    (problem,) = problems()
    assert "scram needs a scram_secret of at least 32 characters" in problem


def test_scram_is_switched_on_with_a_secret_that_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POPLAR_HASHING__SCRAM", "true")
    monkeypatch.setenv("POPLAR_HASHING__SCRAM_SECRET", SECRET * 2)
    assert load_settings().hashing.scram
    assert SECRET not in "".join(row.value + row.default for row in explain(load()))


def test_listeners_come_as_json_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = [{"name": "x", "protocol": "lmtp", "port": 2024, "proxy_protocol": "required", "trusted": ["10.0.0.0/8"]}]
    monkeypatch.setenv("POPLAR_LISTENERS", json.dumps(chosen))
    (only,) = load_settings().listeners
    assert (only.name, only.port, str(only.trusted[0])) == ("x", 2024, "10.0.0.0/8")


def test_an_unknown_key_in_the_file_is_named_with_the_one_that_was_meant(tmp_path: Path) -> None:
    path = tmp_path / "poplar.yaml"
    path.write_text("database: {urll: x}\n", "utf-8")
    assert problems(path) == [f"database.urll is no setting of Poplar's; did you mean url? (in {path})"]


@pytest.mark.parametrize("name", ["POPLAR_HTTP_PORT", "POPLAR_HTP__PORT", "POPLAR_HTTP__PORT__X", "POPLAR_X"])
def test_an_unknown_variable_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "9")
    assert problems()[0] == f"{name} is no setting of Poplar's"


def test_variables_that_kubernetes_makes_for_a_service_are_no_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "POPLAR_SERVICE_HOST": "10.0.0.1",
        "POPLAR_POP3_SERVICE_PORT_POP3S": "995",
        "POPLAR_PORT": "tcp://10.0.0.1:110",
        "POPLAR_PORT_110_TCP_ADDR": "10.0.0.1",
    }.items():
        monkeypatch.setenv(name, value)
    assert load_settings().http.port == 8080


def test_a_wrong_value_is_named_with_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POPLAR_DATABASE__DEADLINE", "soon")
    assert problems() == ["database.deadline must be a number (set by POPLAR_DATABASE__DEADLINE)"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("database: {connections: true}", "database.connections must be a whole number"),
        ("database: {deadline: true}", "database.deadline must be a number"),
        ("http: {port: yes}", "http.port must be a whole number"),
        ("oauth: {ports: [995, true]}", "oauth.ports[1] must be a whole number"),
        ("object_store: {retries: no}", "object_store.retries must be a whole number"),
        ("traces: {ratio: true}", "traces.ratio must be a number"),
        ("events: {batch: on}", "events.batch must be a whole number"),
    ],
)
def test_true_and_false_are_no_numbers(text: str, told: str, tmp_path: Path) -> None:
    path = tmp_path / "poplar.yaml"
    path.write_text(text, "utf-8")
    assert problems(path) == [f"{told} (in {path})"]


def test_no_number_of_the_settings_takes_true() -> None:
    groups: list[type[Section]] = [Settings]
    for group in groups:
        for name, field in group.model_fields.items():
            if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
                groups.append(field.annotation)
            if field.annotation in {int, float}:
                with pytest.raises(ValidationError) as caught:
                    group.model_validate({name: True})
                assert f"{name}\n  Value error, must be a " in str(caught.value)


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "poplar.yaml"
    path.write_text("http: {port: many}\nlistners: []\n", "utf-8")
    monkeypatch.setenv("POPLAR_NO", "1")
    assert [line.split()[0] for line in problems(path)] == ["POPLAR_NO", "http.port", "listners"]


def test_broken_json_in_the_environment_is_told_plainly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POPLAR_LISTENERS", '[{"name"')
    assert problems() == ["POPLAR_LISTENERS must be JSON"]


def test_broken_json_below_a_group_is_blamed_on_its_own_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POPLAR_OBJECT_STORE__URL", "s3://bucket")
    monkeypatch.setenv("POPLAR_OBJECT_STORE__MORE_URLS", "s3://other")
    assert problems() == ["POPLAR_OBJECT_STORE__MORE_URLS must be JSON"]
    monkeypatch.delenv("POPLAR_OBJECT_STORE__MORE_URLS")
    monkeypatch.setenv("POPLAR_DIRECTORY__OUTSIDE", '[{"name"')
    assert problems() == ["POPLAR_DIRECTORY__OUTSIDE must be JSON"]
    monkeypatch.setenv("POPLAR_DIRECTORY__OUTSIDE", "[]")
    monkeypatch.setenv("POPLAR_DIRECTORY", '{"outside": [')
    assert problems() == ["POPLAR_DIRECTORY must be JSON"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("http: {port: 1}\nhttp: {port: 2}\n", "is not valid YAML, line 1: http is written twice"),
        ("http: [", "is not valid YAML, line 1"),
        ("http: {port: !!int secret}", "is not valid YAML"),
        ("http: {port: !!bool secret}", "is not valid YAML"),
        ("http: {port: 2026-13-99}", "is not valid YAML"),
        ("[" * 5000, "is not valid YAML"),
        ("- http\n", "must contain groups of settings"),
        ("http: 3\n", "http must be a group of settings"),
    ],
)
def test_a_file_of_the_wrong_shape_is_told_plainly(text: str, told: str, tmp_path: Path) -> None:
    path = tmp_path / "poplar.yaml"
    path.write_text(text, "utf-8")
    assert told in "\n".join(problems(path))


def test_a_missing_file_is_told_plainly(tmp_path: Path) -> None:
    assert problems(tmp_path / "none.yaml") == [f"{tmp_path / 'none.yaml'} can't be read: No such file or directory"]


@pytest.mark.parametrize(
    "name", ["POPLAR_DATABASE__URL", "POPLAR_REDIS__URL", "POPLAR_OBJECT_STORE__URL", "POPLAR_REDIS__DEADLINE"]
)
def test_an_error_never_repeats_a_value(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, f"ftp://user:{SECRET}@host")
    assert SECRET not in "\n".join(problems())


def test_a_shorter_autologout_than_ten_minutes_is_refused_unless_asked_for() -> None:
    """RFC 1939 §3: the timer MUST be of at least 10 minutes' duration."""
    with pytest.raises(ValidationError, match="600"):
        Settings.model_validate({"deadlines": {"autologout": 599}})
    short = Settings.model_validate({"deadlines": {"autologout": 1, "short_autologout": True}})
    assert short.deadlines.autologout == 1


@pytest.mark.parametrize("network", ["0.0.0.0/0", "::/0"])
def test_a_proxy_header_from_everybody_is_refused(network: str) -> None:
    with pytest.raises(ValidationError, match="anybody"):
        listener(proxy_protocol="required", trusted=[network])


def test_a_required_proxy_header_needs_trusted_networks_and_they_need_it() -> None:
    with pytest.raises(ValidationError, match="must name the balancer's networks"):
        listener(proxy_protocol="required")
    with pytest.raises(ValidationError, match="no effect"):
        listener(trusted=["10.0.0.0/8"])


def told_of(text: str, tmp_path: Path) -> list[str]:
    path = tmp_path / "poplar.yaml"
    path.write_text(text, "utf-8")
    return [line.removesuffix(f" (in {path})") for line in problems(path)]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("deadlines: {autologout: 30}", "deadlines.autologout must be at least 600 seconds (RFC 1939 §3)"),
        (
            "redis: {renew_every: 20}",
            "redis.renew_every must be at most half of lease_seconds, so that one missed renewal loses nothing",
        ),
        ("sweep: {removed_retention_days: 0}", "sweep.removed_retention_days must be greater than or equal to 0.05"),
        ("hostname: ''", "hostname must be a name of letters, digits, '-' and '.', or an address"),
        (
            'hostname: "pop.example\\r\\n250 x"',
            "hostname must be a name of letters, digits, '-' and '.', or an address",
        ),
        ("object_store: {url: 'file:relative'}", "object_store.url must be file:/// and the whole path of a directory"),
        ("object_store: {url: 'file://host/d'}", "object_store.url must be file:/// and the whole path of a directory"),
        ("object_store: {url: 's3:bucket'}", "object_store.url must name a bucket: s3://bucket"),
        ("object_store: {url: 'az://b'}", "object_store.account must name the storage account of az://"),
        ("object_store: {more_urls: ['az://b']}", "object_store.account must name the storage account of az://"),
        ("object_store: {url: 's3://b', account: a}", "object_store.account is Azure's alone: only az:// takes it"),
        (
            "object_store: {url: 'gs://b', access_key: a, secret_key: b}",
            "object_store.access_key is not for gs://, which goes by the machine's or pod's own identity",
        ),
        (
            "object_store: {url: 's3://b', endpoint: 'http://store'}",
            "object_store.endpoint has no TLS: set allow_http to true if that is meant",
        ),
    ],
)
def test_each_value_that_makes_no_sense_is_told_in_one_plain_line(text: str, told: str, tmp_path: Path) -> None:
    assert told_of(text, tmp_path) == [told]


@pytest.mark.parametrize("network", ["10.0.0.1/8", "300.1.1.1/8", "balancer"])
def test_what_is_no_network_is_told_once(network: str, tmp_path: Path) -> None:
    text = f"listeners: [{{name: a, protocol: pop3, port: 1, proxy_protocol: required, trusted: [{network}]}}]"
    told = "listeners[0].trusted[0] must be a network such as 10.0.0.0/8 or fd00::/8, no bits set behind its prefix"
    assert told_of(text, tmp_path) == [told]


def test_a_wrong_listener_of_the_environment_is_not_blamed_on_the_file(
    written: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POPLAR_LISTENERS", '[{"name": "x", "protocol": "pop3"}]')
    assert problems(written) == ["listeners[0].port is required (set by POPLAR_LISTENERS)"]


def test_a_misspelt_variable_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POPLAR_HTTP__PORTT", "9")
    assert problems() == ["http.portt is no setting of Poplar's; did you mean port? (set by POPLAR_HTTP__PORTT)"]


def test_yaml_reads_off_as_a_word(tmp_path: Path) -> None:
    path = tmp_path / "poplar.yaml"
    path.write_text("listeners: [{name: a, protocol: pop3, port: 110, proxy_protocol: off}]\n", "utf-8")
    assert load_settings(path).listeners[0].proxy_protocol == "off"


def test_lmtp_never_listens_on_port_25() -> None:
    """RFC 2033 §1 (checklist R109)."""
    with pytest.raises(ValidationError, match="port 25"):
        listener(protocol="lmtp", port=25)


def test_two_listeners_share_neither_name_nor_port() -> None:
    same_name = [listener(port=1), listener(port=2)]
    same_port = [listener(name="a"), listener(name="b")]
    for pair in (same_name, same_port):
        with pytest.raises(ValidationError, match="must not have the same"):
            Settings(listeners=tuple(pair))
    assert Settings(listeners=(listener(name="a", port=0), listener(name="b", port=0))).listeners


def test_a_lease_outlives_a_missed_renewal() -> None:
    with pytest.raises(ValidationError, match="half of lease_seconds"):
        Settings.model_validate({"redis": {"lease_seconds": 30, "renew_every": 20}})


def test_settings_are_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Settings().hostname = "other"


def test_settings_made_directly_do_not_read_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POPLAR_HTTP__PORT", "9002")
    assert Settings().http.port == 8080


def test_every_setting_has_a_meaning() -> None:
    assert not [row.key for row in explain(load()) if not row.meaning.endswith(".")]


def test_the_explanation_tells_value_default_and_origin(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POPLAR_HTTP__HOST", "127.0.0.1")
    rows = {row.key: row for row in explain(load(written))}
    assert (rows["http.port"].value, rows["http.port"].default, rows["http.port"].origin) == ("9001", "8080", "file")
    assert (rows["http.host"].value, rows["http.host"].origin) == ("127.0.0.1", "environment")
    assert rows["redis.deadline"].origin == "default"
    assert rows["listeners[1].tls"].value == "implicit"


def test_the_explanation_masks_every_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "POPLAR_DATABASE__URL": f"postgresql://poplar:{SECRET}@db/poplar?sslpassword={SECRET}&sslmode=require",
        "POPLAR_REDIS__URL": f"redis://:{SECRET}@cache:6379/0",
        "POPLAR_OBJECT_STORE__ACCESS_KEY": SECRET,
        "POPLAR_OBJECT_STORE__SECRET_KEY": f"{SECRET}://{SECRET}",
    }.items():
        monkeypatch.setenv(name, value)
    rows = {row.key: row.value for row in explain(load())}
    assert SECRET not in "\n".join(rows.values())
    assert rows["database.url"] == "postgresql://poplar:********@db/poplar?sslpassword=********&sslmode=require"
    assert SECRET not in repr(load_settings())


# RFC 3986 §3.2: the authority ends at the next "/", "?" or "#"; §2.1: in it they are written as % and two digits.
NOT_ENCODED = [
    "hun/ter",
    "hun#ter",
    "hun?ter",
    "1/hunter",
    "1#hunter",
    "1?x=hunter",
    "a@b/hunter",
    "a@b?hunter",
    "1/2?hunter",
]


@pytest.mark.parametrize("password", NOT_ENCODED)
@pytest.mark.parametrize(
    ("key", "url"), [("database", "postgresql://poplar:{}@db:5432/poplar"), ("redis", "redis://:{}@cache:6379/0")]
)
def test_a_password_that_is_not_encoded_is_refused_and_shown_nowhere(
    key: str, url: str, password: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"POPLAR_{key.upper()}__URL", url.format(password))
    (told,) = problems()
    assert told.startswith(f"{key}.url must have each '/'")
    assert "hun" not in told
    assert masked_url(url.format(password)).partition("://")[2].startswith("********@")
    assert "hun" not in masked_url(url.format(password))


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgresql://u:[hunter]@db/poplar", "must be a URL"),
        ("postgresql://u:hunter\u2048\uff03@db/poplar", "must be a URL"),
        ("postgresql://u:p@db:hunter/poplar", "must have a number as each port"),
        ("postgresql://u:p@db/poplar?hunter", "must have parameters"),
        ("postgresql://u:p@db/poplar?sslmode=verify_full", "must have an sslmode that is one of: allow, "),
    ],
)
def test_a_database_url_that_means_nothing_is_told_at_the_start(
    url: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POPLAR_DATABASE__URL", url)
    (told,) = problems()
    assert words in told
    assert "hunter" not in told


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:p@h1:5432,h2:5433/poplar?a=b@c",
        "postgresql://h1:5432,h2/poplar?user=poplar@azure&sslmode=require",
        "postgresql:///poplar?host=/run/postgresql&user=a@b",
        "postgresql://u:hun%2Fter%3F%23%40@[::1]:5432/poplar",
        "postgresql://u:a@b@h/poplar",
    ],
)
def test_a_url_whose_login_can_be_told_from_the_rest_is_taken(url: str) -> None:
    settings = Settings.model_validate({"database": {"url": url}})
    assert settings.database.url_for("front") == url
    assert Settings.model_validate({"redis": {"url": "unix:///run/redis@1/socket"}})


@pytest.mark.parametrize("name", ["POPLAR_OBJECT_STORE__ENDPOINT", "POPLAR_OBJECT_STORE__URL"])
def test_a_store_url_holds_no_password(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, f"s3://key:{SECRET}@bucket")
    (told,) = problems()
    assert "must not hold a password" in told
    assert SECRET not in told


def test_each_role_logs_in_with_its_own_url_or_the_common_one() -> None:
    settings = Settings.model_validate({"database": {"url": "postgres://a/b", "lmtp_url": "postgres://l/b"}})
    assert settings.database.url_for("lmtp") == "postgres://l/b"
    assert settings.database.url_for("front") == "postgres://a/b"


def test_the_chart_knows_every_setting() -> None:
    from tests.helm.documenting import CHART, made

    texts = made()
    for name in ("values.schema.json", "README.md"):
        assert (CHART / name).read_text("utf-8") == texts[CHART / name], "run make chart-docs"


def test_a_session_can_hold_the_longest_line_and_no_more_than_openssl_can_be_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for octets, problem in ((MAX_AUTH_LINE_OCTETS - 1, "greater than or equal to 16384"), (2**30 + 1, "less than or")):
        monkeypatch.setenv("POPLAR_LIMITS__SESSION_OCTETS", str(octets))
        (told,) = problems()
        assert "limits.session_octets" in told
        assert problem in told
    for octets in (max(MAX_AUTH_LINE_OCTETS, MAX_LINE_OCTETS), 2**30):
        monkeypatch.setenv("POPLAR_LIMITS__SESSION_OCTETS", str(octets))
        assert load_settings().limits.session_octets == octets
