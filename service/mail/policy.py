"""Whether a maildrop's policy lets a client in that proved who it is.

Owns the judgement. Refuses to know where a policy comes from. What it refuses reads like a wrong password, so that
nobody learns from outside the allowed networks that a password is right; the log and staff are told what it was (G13).
RFC 3206 §5.
"""

from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from service.mail.passwords import KIND as PASSWORD
from service.model.account import Credential
from service.model.policy import Policy
from service.model.policy_table import narrowed, policy_of
from service.model.refusal import Reason, Refusal
from service.model.why import Why

REMEMBERED = 1_024


def admitted(policy: Policy, credential: Credential, mechanism: str, client: str) -> Policy:
    """The policy that binds a session opened by `credential`: the maildrop's, narrowed by an app password's own.

    Raises Refusal: CREDENTIALS where either stands against this client, INVALID where the latter can't be obeyed.
    """
    cause = obstacle(policy, mechanism, client)
    if cause is None and policy.app_passwords == "required" and credential.kind == PASSWORD:
        cause = "the policy wants an app password"
    if cause is None and credential.policy:
        cause = obstacle(_own(credential), mechanism, client)
    if cause is not None:
        raise Refusal(Reason.CREDENTIALS, cause, Why.POLICY)
    return narrowed(policy, credential.policy) if credential.policy else policy


def admits_all(policy: Policy, credential: Credential) -> bool:
    """Whether `admitted` has nothing to refuse or to narrow, whatever the mechanism and the client."""
    app_password = policy.app_passwords != "required" or credential.kind != PASSWORD
    anywhere = policy.mechanisms is None and policy.networks is None
    return policy.pop3 and anywhere and app_password and not credential.policy


def _own(credential: Credential) -> Policy:
    try:
        return policy_of(credential.policy)
    except ValueError as error:
        raise Refusal(Reason.INVALID, f"an app password's own policy: {error}") from error


def obstacle(policy: Policy, mechanism: str, client: str) -> str | None:
    """Why a client at the address `client` may not log in by `mechanism`; None if it may.

    RFC 3206 §5 counts among the causes of [AUTH] an attempt to log in against a policy, such as from a wrong place.
    """
    if not policy.pop3:
        return "the policy has POP3 off"
    if policy.mechanisms is not None and not {mechanism, mechanism.removesuffix("-PLUS")} & set(policy.mechanisms):
        return f"the policy does not allow {mechanism}"
    if policy.networks is not None and not _inside(policy.networks, client):
        return f"the policy does not allow {client}"
    return None


def _inside(networks: tuple[str, ...], client: str) -> bool:
    address = ip_address(client.partition("%")[0])
    return any(address in network for network in _parsed(networks))


@lru_cache(REMEMBERED)
def _parsed(networks: tuple[str, ...]) -> tuple[IPv4Network | IPv6Network, ...]:
    return tuple(map(ip_network, networks))
