"""Which pieces of the lake are filled one by one? A venue's UTC day, the one under way included."""

from collections.abc import Mapping
from datetime import date
from functools import cache

import dagster as dg

from pipelines.settings import Settings
from pipelines.venues import offering, venues

FIRST_DAY = Settings().first_day


@cache
def venue_days(names: tuple[str, ...]) -> dg.MultiPartitionsDefinition:
    """These venues' days, from the first that can be asked for to the one under way."""
    return dg.MultiPartitionsDefinition(
        {
            "venue": dg.StaticPartitionsDefinition(list(names)),
            "day": dg.DailyPartitionsDefinition(str(FIRST_DAY), timezone="UTC", end_offset=1),
        }
    )


VENUES = tuple(sorted(venues()))
VENUE_DAYS = venue_days(VENUES)


def days_of(question: str) -> dg.MultiPartitionsDefinition:
    """The days of the venues that offer what is asked for."""
    return venue_days(tuple(sorted(offering(question))))


def key_of(venue: str, day: date) -> dg.MultiPartitionKey:
    """The partition of a venue's day."""
    return dg.MultiPartitionKey({"venue": venue, "day": day.isoformat()})


def venue_and_day(context: dg.AssetExecutionContext) -> tuple[str, date]:
    """The venue and the day that a run is for."""
    key = context.partition_key
    if not isinstance(key, dg.MultiPartitionKey):
        raise dg.DagsterInvariantViolationError(f"{key}: is no venue and day")
    named: Mapping[str, str] = key.keys_by_dimension
    return named["venue"], date.fromisoformat(named["day"])
