"""What does the dbt project hold? Its manifest, made anew where the project has changed."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from assets.building import DBT, PROJECT

CACHE = DBT / "target" / "manifests"
KEPT = 4  # of former states, which another process may just read
PARSED = ("*.yml", "models/**/*", "macros/**/*", "seeds/**/*", "tests/**/*")


class ParseFailed(ValueError):
    """dbt cannot read its own project; the message is dbt's."""


@dataclass(frozen=True, slots=True)
class Node:
    """A dbt model: `schema` is the folder it is built into, `tests` are those that read it."""

    name: str
    schema: str
    layer: str
    description: str
    materialized: str
    columns: tuple[tuple[str, str, str], ...]
    models: tuple[str, ...]
    sources: tuple[str, ...]
    seeds: tuple[str, ...]
    tests: tuple[str, ...]


@cache
def nodes() -> tuple[Node, ...]:
    """The models of the project as it is now, parents before children. Raises `ParseFailed`."""
    return tuple(of(json.loads(parsed().read_text())))


def of(manifest: dict[str, Any]) -> list[Node]:
    """The models of a dbt manifest, parents before children."""
    found = manifest["nodes"]
    tests: dict[str, list[str]] = {}
    for node in found.values():
        if node["resource_type"] == "test":
            about = node.get("attached_node") or node["depends_on"]["nodes"][0]
            tests.setdefault(about, []).append(node["name"])
    waiting = {key: node for key, node in found.items() if node["resource_type"] == "model"}
    ordered: dict[str, Node] = {}
    while waiting:
        ready = [
            key
            for key, node in waiting.items()
            if not any(parent in waiting for parent in node["depends_on"]["nodes"])
        ]
        for key in sorted(ready):
            ordered[key] = _node(waiting.pop(key), manifest, tests.get(key, ()))
    return list(ordered.values())


def parsed() -> Path:
    """The manifest of the project as it is now; dbt is asked once for each state of it."""
    path = CACHE / f"{_digest()}.json"
    if path.exists():
        return path
    CACHE.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="parse-", dir=CACHE) as folder:
        command = ["parse", "--quiet", "--project-dir", str(DBT), "--profiles-dir", str(DBT)]
        command += ["--target-path", folder, "--log-path", folder]
        environment = {
            **os.environ,
            "HEDGEHOUSE_DBT_PATH": str(Path(folder) / "parse.duckdb"),
            "HEDGEHOUSE_DATA": folder,
            "HEDGEHOUSE_COMMITTED_BY": "1970-01-01T00:00:00+00:00",
            "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        }
        done = subprocess.run(  # noqa: S603 - our own words
            [sys.executable, "-m", "dbt.cli.main", *command],
            env=environment,
            cwd=PROJECT,
            capture_output=True,
            text=True,
            check=False,
        )
        made = Path(folder) / "manifest.json"
        if done.returncode or not made.exists():
            raise ParseFailed(f"{DBT}: dbt parse: {(done.stdout + done.stderr).strip()[-2000:]}")
        for old in sorted(CACHE.glob("*.json"), key=lambda kept: kept.stat().st_mtime)[:-KEPT]:
            old.unlink(missing_ok=True)
        shutil.move(made, path)  # within one folder: a rename, whole or not at all
    return path


def _digest() -> str:
    digest = hashlib.sha256()
    for path in sorted({p for pattern in PARSED for p in DBT.glob(pattern) if p.is_file()}):
        digest.update(f"{path.relative_to(DBT)}\n".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def _node(node: dict[str, Any], manifest: dict[str, Any], tests: Any) -> Node:
    parents = node["depends_on"]["nodes"]
    sources = [manifest["sources"][p] for p in parents if p.startswith("source.")]
    return Node(
        name=node["name"],
        schema=node["schema"].removeprefix("main_"),
        layer=Path(node["path"]).parts[0],
        description=" ".join(node["description"].split()),
        materialized=node["config"]["materialized"],
        columns=tuple(
            (name, column.get("data_type") or "", column.get("description") or "")
            for name, column in node["columns"].items()
        ),
        models=tuple(p.split(".")[-1] for p in parents if p.startswith("model.")),
        sources=tuple(s["name"] for s in sources if s["source_name"] == "lake"),
        seeds=tuple(p.split(".")[-1] for p in parents if p.startswith("seed.")),
        tests=tuple(sorted(tests)),
    )
