"""The operator's page says what every setting does, and nothing that is not so."""

import re
from pathlib import Path

import pytest
from pydantic_core import PydanticUndefined

from assets import schedules
from pipelines.live import MISSED, NOT_RETRIEVABLE, UNAVAILABLE
from pipelines.settings import Settings

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/operating.md").read_text()


def line_of(name: str) -> str:
    """The line of the page's table for one setting."""
    field = Settings.model_fields[name]
    value = field.default_factory() if field.default_factory else field.default  # type: ignore[call-arg]
    assert value is not PydanticUndefined
    match value:
        case None | {}:
            shown = ""
        case bool():
            shown = f"`{str(value).lower()}`"
        case tuple():
            shown = "`[" + ", ".join(f'"{item}"' for item in value) + "]`"
        case _:
            shown = f"`{value:g}`" if isinstance(value, float) else f"`{value}`"
    variable = f"HEDGEHOUSE_{name.upper()}" + ("__VENUE__KEY" if name == "keys" else "")
    return f"| `{variable}` | {shown} | {field.description} |"


@pytest.mark.parametrize("name", Settings.model_fields)
def test_the_page_says_of_every_setting_what_it_is_and_does(name: str) -> None:
    assert line_of(name) in PAGE, f"docs/operating.md lacks this line:\n{line_of(name)}"


def test_the_page_knows_no_setting_that_is_not_there() -> None:
    named = set(re.findall(r"^\| `HEDGEHOUSE_([A-Z_]+?)(?:__VENUE__KEY)?` \|", PAGE, re.MULTILINE))
    assert named == {name.upper() for name in Settings.model_fields}


def test_the_page_names_every_cause_of_a_gap_that_the_line_gives() -> None:
    assert all(f"| `{cause}` |" in PAGE for cause in (MISSED, NOT_RETRIEVABLE, UNAVAILABLE))


def test_the_page_names_every_schedule_and_sensor() -> None:
    for found in (*schedules.SCHEDULES, *schedules.SENSORS):
        name = re.sub("nightly_days_of_.*", "nightly_days_of_...", found.name)
        assert f"| `{name}` |" in PAGE, name


def test_the_page_names_the_variables_of_make_and_their_defaults() -> None:
    makefile = (ROOT / "Makefile").read_text()
    table = PAGE[PAGE.index("| variable of make |") : PAGE.index("## With the real venues")]
    for name in re.findall(r"\$\(([A-Z_]+)\)", makefile[makefile.index("\nserve:") :]):
        default = re.search(rf"^{name} \?= (\S+)$", makefile, re.MULTILINE)
        if name == "BIN" or default is None:
            continue
        assert f"`{name}`" in table, name
        assert f"`{default[1]}`" in table, name


def test_the_links_of_the_page_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", PAGE):
        assert (ROOT / "docs" / target).exists(), target
