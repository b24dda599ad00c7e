"""Is evidence kept byte for byte, whatever it is?"""

from pathlib import Path

import orjson
import pytest
import zstandard
from hypothesis import example, given
from hypothesis import strategies as st

from warehouse.location import Location
from warehouse.raw import DamagedEvidence, Page, land, replay

AT = "2026-03-10T00:00:00+00:00"
texts = st.text(st.characters(codec="utf-8"), max_size=40)


@given(
    st.lists(st.builds(Page, texts, st.one_of(texts, texts.map(lambda t: "{" + t + "}")), texts))
)
@example([Page('{"a": "x"}', '{"b":", \\"body\\": 1"}', AT), Page("", "", "")])
@example([Page(', "body": ', '{"text": ", "}', AT)])
@example([Page('{"params": {}}', "[\n1]", AT), Page("", "{\u2028}", AT), Page("", "[]", AT)])
def test_what_lands_is_replayed_as_it_came(tmp_path_factory, pages):
    location = Location(tmp_path_factory.getbasetemp() / "evidence")
    digest = land(location, "venue", pages)
    assert list(replay(location, "venue", digest)) == pages
    assert land(location, "venue", pages) == digest


def test_answers_in_json_are_read_by_any_reader_of_ndjson(tmp_path):
    location = Location(tmp_path)
    pages = [Page('{"method": "m"}', '{"result":{"trades":[1,2]}}', AT), Page("", "no json", AT)]
    digest = land(location, "venue", pages)
    (path,) = Path(location.raw).rglob("*.zst")
    with path.open("rb") as file:
        unpacker = zstandard.ZstdDecompressor()
        lines = unpacker.stream_reader(file, read_across_frames=True).read().splitlines()
    first, second = map(orjson.loads, lines)
    assert first["body"] == {"result": {"trades": [1, 2]}}
    assert second["text"] == "no json"
    assert path.name.startswith(digest)


def test_evidence_that_changed_is_not_believed(tmp_path):
    location = Location(tmp_path)
    digest = land(location, "venue", [Page("", "{}", AT)])
    (path,) = Path(location.raw).rglob("*.zst")
    path.chmod(0o644)
    path.write_bytes(zstandard.ZstdCompressor().compress(b'{"request": "other"}\n'))
    with pytest.raises(DamagedEvidence, match="no longer has the digest"):
        list(replay(location, "venue", digest))
