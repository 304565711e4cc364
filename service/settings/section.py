"""What every part of the settings has in common: frozen, no unknown key, bounds in the type.

Owns the kinds of value: seconds, octets, counts and secrets. Refuses to know any one setting.
"""

from typing import Annotated, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationInfo, field_validator

Seconds = Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)]
Octets = Annotated[int, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]
CountOrNone = Annotated[int, Field(ge=0)]
"""A count where 0 switches something off."""


def _no_truth(value: object) -> object:
    """For numbers in a list, which no section's own validator sees one by one."""
    if value is True or value is False:
        raise ValueError("must be a whole number")
    return value


Port = Annotated[int, Field(ge=0, le=65_535), BeforeValidator(_no_truth)]
"""A TCP port; 0 lets the system choose a free one."""


class SecretUrl(SecretStr):
    """A URL that may hold a password: that is masked when shown, the rest is not."""


class Section(BaseModel):
    """A frozen group of settings in which an unknown key is an error; errors never repeat a value."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    @field_validator("*", mode="before")
    @classmethod
    def _true_is_no_number(cls, value: object, info: ValidationInfo) -> object:
        if isinstance(value, bool):
            kind = cls.model_fields[str(info.field_name)].annotation
            kinds = {kind, *get_args(kind)}
            if bool not in kinds and kinds & {int, float}:
                raise ValueError(f"must be a {'whole ' if int in kinds else ''}number")
        return value
