"""What the effects of a POP3 session are called in its trace.

Owns the names, one for each effect that waits: an effect without one fails a test. Refuses to know what a trace is.
RFC 1939 §5 and §7 name the commands, §6 the UPDATE state; RFC 2595 §4 STLS.
"""

from collections.abc import Mapping
from types import MappingProxyType

from service.protocol.pop3 import effects

STEPS: Mapping[type[effects.Effect], str] = MappingProxyType(
    {
        effects.LogIn: "login",
        effects.FetchKeys: "login keys",
        effects.LoadListing: "listing",
        effects.SendListing: "send listing",
        effects.Retrieve: "RETR",
        effects.Top: "TOP",
        effects.Update: "UPDATE",
        effects.StartTls: "STLS",
    }
)
