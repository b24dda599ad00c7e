"""What may an operator turn? Every knob of the live line, with its environment variable.

A knob `rate_scale` is read from `HEDGEHOUSE_RATE_SCALE`, a key of Deribit from
`HEDGEHOUSE_KEYS__DERIBIT__KEY` and `..__SECRET`. Nothing else in the live line reads the
environment.
"""

from datetime import date
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


def _gateway(text: str | None) -> str | None:
    """`http://127.0.0.1:8931`, without a path; empty means none."""
    if not text:
        return None
    parts = urlsplit(text)
    is_bare = not (parts.path.strip("/") or parts.query or parts.fragment)
    if parts.scheme not in ("http", "https") or not parts.hostname or not is_bare:
        raise ValueError(f"{text!r} is no address such as http://127.0.0.1:8931")
    return text.rstrip("/")


def _divides_an_hour(seconds: int) -> int:
    """Ticks stand on the same minutes of every hour."""
    if 3600 % seconds:
        raise ValueError(f"was {seconds}; 3600 is no multiple of it")
    return seconds


class Key(BaseModel):
    """A read-only key of a venue. Neither part is ever shown, logged or kept."""

    model_config = ConfigDict(frozen=True)

    key: SecretStr
    secret: SecretStr


class Settings(BaseSettings):
    """The knobs, with defaults that suit the real venues."""

    model_config = SettingsConfigDict(
        env_prefix="HEDGEHOUSE_", env_nested_delimiter="__", frozen=True, extra="ignore"
    )

    gateway: Annotated[str | None, AfterValidator(_gateway)] = Field(
        default=None,
        description="Server that every request goes to instead: https://HOST/path is asked as "
        "GATEWAY/HOST/path. None asks the venues themselves.",
    )
    rate_scale: float = Field(
        default=1.0,
        gt=0,
        description="Factor on every venue's rate budget: below 1 leaves room for other users of "
        "the same address, above 1 is for a server of one's own.",
    )
    timeout_s: float = Field(
        default=20.0, gt=0, description="Seconds without a byte before a request is given up."
    )
    attempts: int = Field(
        default=6, ge=1, description="How often one page is asked for before its unit fails."
    )
    backoff_s: float = Field(
        default=0.5,
        ge=0,
        description="Longest first wait after trouble at the venue; doubled at each attempt, and "
        "drawn evenly between nothing and that.",
    )
    backoff_cap_s: float = Field(default=60.0, ge=0, description="No such wait is longer.")
    maintenance_s: float = Field(
        default=60.0, ge=0, description="The first wait while a venue is under maintenance."
    )
    longest_wait_s: float = Field(
        default=600.0,
        ge=0,
        description="A venue that asks for a longer wait is given up until then.",
    )
    ban_s: float = Field(
        default=120.0,
        ge=0,
        description="How long a venue is left alone after a ban (418) that names no time.",
    )
    book_depth: int = Field(default=50, ge=1, description="Levels of a book on each side.")
    is_sweeping_tickers: bool = Field(
        default=False,
        description="Ask for every option's ticker too: sizes, bid and ask volatilities and "
        "greeks, at one request per option and snapshot.",
    )
    volatility_index_s: int = Field(
        default=60, ge=1, description="Seconds of a candle of the venues' volatility indices."
    )
    source: Literal["live", "simulator"] = Field(
        default="live",
        description="Which world answers: `live`, the venues themselves, or `simulator`, the "
        "embedded market behind the gateway. A data folder holds one of them.",
    )
    seed: int = Field(default=0, ge=0, description="Which embedded market; of no use when live.")
    underlyings: tuple[str, ...] = Field(
        default=("BTC", "ETH"), min_length=1, description="Coins that are asked for, as JSON."
    )
    first_day: date = Field(
        default=date(2024, 1, 1), description="The first UTC day that can be asked for."
    )
    snapshot_every_s: Annotated[int, AfterValidator(_divides_an_hour)] = Field(
        default=300,
        ge=60,
        le=3600,
        multiple_of=60,
        description="Seconds between snapshots of chains, quotes and books; a divisor of an hour. "
        "A tick of this grid that was not taken is a gap.",
    )
    is_scheduled: bool = Field(
        default=True,
        description="Whether Dagster's schedules and the sensor that builds are on from the start; "
        "its interface turns each on and off.",
    )
    keys: dict[str, Key] = Field(
        default_factory=dict, description="Read-only keys by venue; market data needs none."
    )

    def address(self, url: str) -> str:
        """Where `url` is asked: itself, or its place behind the gateway."""
        if self.gateway is None:
            return url
        return f"{self.gateway}/{url.split('://', 1)[-1]}"
