"""What does a partition look like? A small picture in its metadata, made of its own rows."""

import base64
from collections.abc import Sequence
from xml.sax.saxutils import escape

import polars as pl

from warehouse.contract import LAKE_TABLES
from warehouse.lake import Manifest
from warehouse.location import Location

WIDTH, HEIGHT, TOP, BOTTOM = 480, 120, 16, 18
MOST_OWNERS = 8
HOURS = range(24)


def picture(location: Location, manifest: Manifest) -> str:
    """Markdown: a bar per hour with the rows that are held, and who has most of them."""
    table = LAKE_TABLES[manifest.partition.table]
    folder = manifest.partition.folder(location)
    paths = [folder / part.name for part in manifest.current_parts() if part.rows]
    if not paths:
        return "No rows are held."
    owner = "instrument_id" if "instrument_id" in table.schema.names() else "underlying"
    rows = pl.scan_parquet(paths, glob=False).select(
        hour=pl.col(table.time).dt.hour(), owner=pl.col(owner)
    )
    hourly = dict(rows.group_by("hour").len().collect().iter_rows())
    owners = rows.group_by("owner").len().collect().sort("len", "owner", descending=[True, False])
    svg = bars([hourly.get(hour, 0) for hour in HOURS], "rows per hour (UTC)")
    image = f"![rows per hour](data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()})"
    lines = [f"| `{name}` | {count:,} |" for name, count in owners.head(MOST_OWNERS).iter_rows()]
    more = owners.height - len(lines)
    rest = f"\n\nand {more} more" if more > 0 else ""
    return "\n".join([image, "", f"| {owner} | rows |", "|---|---:|", *lines]) + rest


def bars(values: Sequence[int], title: str) -> str:
    """An SVG of bars, labelled with their highest value and with the place of every sixth."""
    highest = max(*values, 1)
    room, step = HEIGHT - TOP - BOTTOM, WIDTH / len(values)
    drawn = []
    for place, value in enumerate(values):
        height = room * value / highest
        drawn.append(
            f'<rect x="{place * step + 1:.1f}" y="{TOP + room - height:.1f}" '
            f'width="{step - 2:.1f}" height="{height:.1f}" fill="#4f7cac"/>'
        )
    labels = [
        f'<text x="{place * step + 1:.1f}" y="{HEIGHT - 5}">{place:02d}</text>'
        for place in range(0, len(values), 6)
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
        f'font-family="sans-serif" font-size="10" fill="#888">'
        f'<text x="1" y="11">{escape(title)}, at most {highest:,}</text>'
        f"{''.join(drawn)}{''.join(labels)}</svg>"
    )
