"""What a finished handshake proves beyond privacy: to what the connection can be bound, and who the client is.

Owns the kinds of channel binding and the addresses in a client's certificate, which TLS verified. Refuses to know what
either is used for. Python's ssl module can't export keying material, so there is no tls-exporter (RFC 9266).
RFC 5929 §3 (tls-unique), §4 (tls-server-end-point), RFC 7677 §4; RFC 5280 §4.2.1.6.
"""

import ssl
from collections.abc import Mapping

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

UNREADABLE = (ValueError, x509.DuplicateExtension, x509.InvalidVersion, x509.UnsupportedGeneralNameType)
"""What a certificate that TLS takes may raise where it is read: the last for an x400Address or an ediPartyName."""
_WEAK = (hashes.MD5, hashes.SHA1)


class Handshake(ssl.SSLObject):
    """A connection's TLS, and what was chosen for it, which the ssl module forgets."""

    server_name: str | None = None
    """The name that the client asked for (SNI)."""
    end_point = b""
    """The hash of the certificate that a whole handshake shows, where there is one to take."""


def end_point(leaf: x509.Certificate) -> bytes:
    """The certificate's hash; empty where its signature names no hash to take.

    RFC 5929 §4.1: the hash is that of the certificate's signature, but SHA-256 in the place of MD5 and SHA-1; where
    the signature uses no hash or several, this kind of binding is undefined.
    """
    try:
        algorithm = leaf.signature_hash_algorithm
    except UnsupportedAlgorithm:
        return b""
    if algorithm is None:
        return b""
    digest = hashes.Hash(hashes.SHA256() if isinstance(algorithm, _WEAK) else algorithm)
    digest.update(leaf.public_bytes(Encoding.DER))
    return digest.finalize()


def bindings(handshake: Handshake, version: str) -> Mapping[str, bytes]:
    """What the connection, of this version of TLS, can be bound to, by kind.

    Nothing where it was resumed: which certificate its first handshake showed isn't known, as there may be a newer one.
    """
    if handshake.session_reused:
        return {}
    found = {"tls-server-end-point": handshake.end_point} if handshake.end_point else {}
    # RFC 5929 §3 defines tls-unique up to TLS 1.2. RFC 7677 §4 asks for the extended master secret or for no resumption
    # beside it, and only the latter can be seen from here.
    if version == "TLSv1.2":
        unique = handshake.get_channel_binding("tls-unique")
        if unique:
            found["tls-unique"] = unique
    return found


def certified(handshake: Handshake) -> tuple[str, ...]:
    """The addresses in the client's certificate; none where it can't be read, or was not shown in this very handshake.

    RFC 8446 §4.6.1 lets a session be resumed with what its first handshake proved. An authority that is trusted no
    longer, or a certificate that has ended since, would go on opening maildrops.
    """
    octets = handshake.getpeercert(binary_form=True)
    if not octets or handshake.session_reused or handshake.context.verify_mode is ssl.CERT_NONE:
        return ()
    try:
        extensions = x509.load_der_x509_certificate(octets).extensions
        names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (*UNREADABLE, x509.ExtensionNotFound):
        return ()
    return tuple(names.get_values_for_type(x509.RFC822Name))
