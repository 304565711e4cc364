"""From documents to what they want: names normalised, every mistake with its file and line.

Owns that a name is said once over all files, in whatever spelling. Refuses to know what is there already.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeVar

from pydantic import ValidationError

from service.cli.applying.documents import DeclarationError, Document, Mistake, Place
from service.cli.applying.forms import CredentialForm, DocumentForm, DomainForm, Form, MaildropForm, TenantForm
from service.cli.applying.secrets import secret
from service.mail.declared.wanted import Unsaid, WantedCredential, WantedDomain, WantedMaildrop, WantedTenant
from service.mail.naming import maildrop_address
from service.model.account import Status
from service.model.address import Address, parse_domain

PLAINLY: Mapping[str, str] = MappingProxyType(
    {
        "extra_forbidden": "there is no such key here",
        "missing": "this key is needed",
        "dict_type": "names with what belongs to each stand here; {} for none",
        "model_type": "keys with their values stand here",
        "list_type": "a list stands here; [] for none",
    }
)
"""The framework's words for the commonest mistakes, in ours."""
F = TypeVar("F", bound=Form)
T = TypeVar("T")


def wanted(documents: Iterable[Document]) -> list[WantedTenant]:
    """The tenants that the documents describe. Raises DeclarationError with every mistake that was found."""
    mistakes: list[Mistake] = []
    tenants: dict[str, tuple[WantedTenant, str]] = {}
    for document in documents:
        with _kept(mistakes):
            for name, form in _form(document).tenants.items():
                reader = _Reader(document, ("tenants", name))
                with _kept(mistakes):
                    if name in tenants:
                        raise reader.wrong(f"is described at {tenants[name][1]} already")
                    tenants[name] = reader.tenant(name, form), document.where(reader.place)
    if mistakes:
        raise DeclarationError(mistakes)
    return [tenant for tenant, _ in tenants.values()]


@contextmanager
def _kept(mistakes: list[Mistake]) -> Iterator[None]:
    """Go on after a mistake, so that one run shows them all."""
    try:
        yield
    except DeclarationError as error:
        mistakes.extend(error.mistakes)


def _form(document: Document) -> DocumentForm:
    if document.content is None:
        return DocumentForm(tenants={})
    try:
        return DocumentForm.model_validate(document.content)
    except ValidationError as error:
        found = [(each["loc"], PLAINLY.get(each["type"], each["msg"])) for each in error.errors()]
        raise DeclarationError([_mistake(document, place, text) for place, text in found]) from None


def _mistake(document: Document, place: Sequence[object], text: str) -> Mistake:
    keys = [str(key) for key in place if key != "[key]"]
    words = text.removeprefix("Value error, ")
    return Mistake(document.where(keys), f"{'.'.join(keys)}: {words}" if keys else words)


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads what stands at one place of a document."""

    document: Document
    place: Place

    def below(self, *keys: str) -> "_Reader":
        return _Reader(self.document, (*self.place, *keys))

    def wrong(self, text: str) -> DeclarationError:
        return DeclarationError([_mistake(self.document, self.place, text)])

    def tenant(self, name: str, form: TenantForm) -> WantedTenant:
        domains = self.below("domains").each(form.domains, parse_domain, _Reader.domain)
        maildrops = self.below("maildrops").each(form.maildrops, _base, _Reader.maildrop)
        self._distinct(maildrops)
        return WantedTenant(
            name,
            _status(form),
            form.policy if form.said("policy") else None,
            form.directory if form.said("directory") else Unsaid.UNSAID,
            domains if form.said("domains") else None,
            maildrops if form.said("maildrops") else None,
        )

    def domain(self, text: str, form: DomainForm) -> WantedDomain:
        target = maildrop_address(form.catch_all) if form.catch_all is not None else None
        return WantedDomain(parse_domain(text), _status(form), target if form.said("catch_all") else Unsaid.UNSAID)

    def maildrop(self, text: str, form: MaildropForm) -> WantedMaildrop:
        credentials = self.below("credentials").each(form.credentials, str, _Reader.credential)
        aliases = frozenset(map(maildrop_address, form.aliases))
        return WantedMaildrop(
            maildrop_address(text),
            _status(form),
            form.policy if form.said("policy") else None,
            aliases if form.said("aliases") else None,
            credentials if form.said("credentials") else None,
        )

    def credential(self, _: str, form: CredentialForm) -> WantedCredential:
        where = self.document.where(self.place)
        return WantedCredential(_status(form), secret(form, where, self.document.folder))

    def each(
        self, forms: Mapping[str, F], normal: Callable[[str], str], read: Callable[["_Reader", str, F], T]
    ) -> dict[str, T]:
        """What is read of each form, by its normalised name. Raises DeclarationError for two spellings of a name."""
        found: dict[str, T] = {}
        for text, form in forms.items():
            name = normal(text)
            if name in found:
                raise self.below(text).wrong(f"{name} is written twice")
            found[name] = read(self.below(text), text, form)
        return found

    def _distinct(self, maildrops: Mapping[str, WantedMaildrop]) -> None:
        """Each alias leads to one maildrop, and isn't one itself."""
        led: dict[Address, str] = {}
        for name, maildrop in maildrops.items():
            for alias in maildrop.aliases or ():
                if str(alias) in maildrops or led.setdefault(alias, name) != name:
                    raise self.below("maildrops", name, "aliases").wrong(f"{alias} is written twice")


def _status(form: "TenantForm | DomainForm | MaildropForm | CredentialForm") -> Status | None:
    return Status(form.status) if form.said("status") else None


def _base(text: str) -> str:
    return maildrop_address(text).base
