"""What Poplar does about those who guess passwords: counters, delays, refusals, and whom none of it concerns.

Owns the limits. Refuses to know how failures are counted; deploy/decisions/abuse.md tells that, and why these values.
"""

from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated

from pydantic import Field, model_validator

from service.settings.section import CountOrNone, Seconds, Section

Network = IPv4Network | IPv6Network
COUNTERS = ("address", "network", "pair", "account", "tenant")


class AbuseSettings(Section):
    """Wrong passwords, counted over all front ends. A count halves with each half-life; 0 switches a limit off."""

    enabled: bool = True
    """Whether wrong passwords are counted at all."""
    half_life: Seconds = 900.0
    """Seconds after which a wrong password counts half."""
    longest_delay: Annotated[float, Field(ge=0, le=30)] = 8.0
    """Seconds that a delayed login waits at most; the first waits half a second, and further ones ever longer."""
    remember_days: Annotated[float, Field(gt=0, le=90)] = 7.0
    """Days for which it is known that an address opened an account, and that a wrong password was counted already."""
    exempt: tuple[Network, ...] = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
    """Networks (CIDR) in which many clients share an address: no address in them is counted; balancers never are."""
    address_delay_from: CountOrNone = 10
    """Wrong passwords from one IPv4 address or IPv6 /64 from which logins from there wait."""
    address_refuse_from: CountOrNone = 40
    """The same from which they are refused unseen; at twice as many their connections are closed as well."""
    network_delay_from: CountOrNone = 40
    """Wrong passwords from one IPv6 /48 from which logins from there wait."""
    network_refuse_from: CountOrNone = 160
    """The same from which they are refused unseen; at twice as many their connections are closed as well."""
    pair_delay_from: CountOrNone = 5
    """Wrong passwords for one account from one address from which its logins from there wait."""
    pair_refuse_from: CountOrNone = 15
    """The same from which they are refused unseen."""
    account_delay_from: CountOrNone = 20
    """Wrong passwords for one account from which its logins wait, but from where it was opened lately."""
    account_refuse_from: CountOrNone = 100
    """The same from which they are refused unseen."""
    tenant_delay_from: CountOrNone = 200
    """Wrong passwords for all accounts of a tenant from which logins wait, but from where they went well lately."""
    tenant_refuse_from: CountOrNone = 0
    """The same from which they are refused unseen; off, as it would lock out all who are on their way."""

    @model_validator(mode="after")
    def _delays_come_first(self) -> "AbuseSettings":
        for counter in COUNTERS:
            delay, refuse = self.limits(counter)
            if refuse and delay > refuse:
                raise ValueError(f"{counter}_delay_from must not be above {counter}_refuse_from")
        return self

    def limits(self, counter: str) -> tuple[int, int]:
        """From how many a counter's logins wait, and are refused."""
        return getattr(self, f"{counter}_delay_from"), getattr(self, f"{counter}_refuse_from")
