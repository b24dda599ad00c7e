"""What the README and the docs tell people to type works on a published world."""

import re
from pathlib import Path

import pytest

import hedgehouse
from tests.conftest import clock
from warehouse.location import Location

ROOT = Path(__file__).parents[1]
PAGES = (
    "README.md",
    "docs/analyst.md",
    "docs/strategy.md",
    "docs/operator.md",
    "docs/flow-impact.md",
    "docs/flow-liquidity.md",
    "docs/flow-toxicity.md",
    "docs/carry-basis.md",
    "docs/carry-funding.md",
)


def blocks(language: str) -> list[tuple[str, str]]:
    fence = re.compile(rf"^```{language}\n(.*?)^```", re.MULTILINE | re.DOTALL)
    return [(page, code) for page in PAGES for code in fence.findall((ROOT / page).read_text())]


SQL = blocks("sql")
PYTHON = blocks("python")


def test_the_pages_show_sql_and_python() -> None:
    assert len(SQL) >= 8
    assert len(PYTHON) >= 2


@pytest.mark.parametrize(("page", "code"), SQL, ids=[f"{p}-{i}" for i, (p, _) in enumerate(SQL)])
def test_the_sql_of_the_docs_returns_rows(simulated: Location, page: str, code: str) -> None:
    with hedgehouse.connect(simulated.root, clock=clock) as house:
        assert house.sql(code).height > 0, page


@pytest.mark.parametrize(("page", "code"), PYTHON, ids=[p for p, _ in PYTHON])
def test_the_python_of_the_docs_runs(
    simulated: Location,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    page: str,
    code: str,
) -> None:
    monkeypatch.chdir(simulated.root)
    found: dict[str, object] = {}
    exec(code.replace('"demo-data"', '"."'), found)
    assert "hedgehouse_" in capsys.readouterr().out, page
    frames = [value for value in found.values() if hasattr(value, "height")]
    assert all(frame.height > 0 for frame in frames), page


def test_no_page_has_a_word_in_capitals_that_was_to_be_filled_in() -> None:
    for page in PAGES:
        words = re.findall(r"^[A-Z]{4,}$", (ROOT / page).read_text(), re.MULTILINE)
        assert not words, f"{page}: {words}"


def test_every_link_between_the_pages_leads_somewhere() -> None:
    more = ("CONTRIBUTING.md", "SECURITY.md", "docs/numerics.md", "docs/volatility-plots.md")
    for page in (*PAGES, *more):
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", (ROOT / page).read_text()):
            assert ((ROOT / page).parent / target).exists(), f"{page} links to {target}"


def test_the_operators_page_names_every_command() -> None:
    from typer.main import get_command

    from hedgehouse.cli import app

    commands = get_command(app).commands  # type: ignore[attr-defined]
    text = (ROOT / "docs/operator.md").read_text()
    assert set(commands) >= {"import", "build", "publish", "rollback", "status", "gaps", "sql"}
    missing = [name for name in commands if f"`hedgehouse {name}" not in text]
    assert not missing
    assert all(command.help for command in commands.values())
