"""Do the models mean the same on DuckDB and on Spark?"""

import re

import pytest
from spark_sql import DBT, MODELS, breaches, rendered

CLEAN = "select a, max(b) as b from t group by a order by a asc nulls last"
FAILING = {
    "select a from t qualify row_number() over (order by a asc nulls last) = 1": "QUALIFY",
    "select * exclude (a) from t": "EXCLUDE",
    "select * except (a) from t": "EXCLUDE",
    "select * replace (1 as a) from t": "EXCLUDE",
    "select t.* from t asof left join u on t.a >= u.a": "ASOF",
    "select t.* from t asof join u on t.a >= u.a": "ASOF",
    "select [x + 1 for x in a] as a from t": "[",
    "select [1, 2] as a": "[",
    "select a[1] as a from t": "[",
    "select filter(a, x -> x > 1) as a from t": "lambda",
    "select list_filter(a, lambda x: x > 1) as a from t": "parse",
    "select a::double as a from t": "::",
    "select a // 2 as a from t": "parse",
    "select a ^ 2 as a from t": "^",
    "select try_cast(a as int) as a from t": "TRY_CAST",
    "select a from t where a ilike 'x'": "ILIKE",
    "select columns('a.*') from t": "COLUMNS",
    "select a from (from t)": "FROM without SELECT",
    "select a from t using sample 10": "sample",
    "select distinct on (a) a, b from t": "DISTINCT ON",
    "select a from t union all by name select a from u": "BY NAME",
    "select a, count(*) as n from t group by all": "GROUP BY ALL",
    "from t": "FROM without SELECT",
    "select a from t order by a": "NULLS",
    "select sum(a) over (partition by b order by c desc) as a from t": "NULLS",
    "select log(a) as a from t": "function log",
    "select log10(a) as a from t": "function log",
    "select concat(a, b) as a from t": "function concat",
    "select quantile_cont(a, 0.5) as a from t": "function quantile_cont",
    "select time_bucket(interval '5 minutes', a) as a from t": "function time_bucket",
    "select epoch_us(a) as a from t": "function epoch_us",
    "select make_timestamp(a) as a from t": "function make_timestamp",
    "select unnest(a) as a from t": "function unnest",
    "select list(a) as a from t": "function list",
    "select arg_max(a, b) as a from t": "function arg_max",
    "select strftime(a, '%Y') as a from t": "function strftime",
    "select random() as a from t": "function random",
    "select now() as a from t": "function now",
    "select {'a': 1} as a": "struct",
}


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_a_model_runs_on_spark_and_means_the_same(path):
    assert breaches(rendered(path)) == []


def test_there_are_models_to_check():
    assert {"stg_trades", "bars_1m", "vpin_buckets", "signals"} <= {path.stem for path in MODELS}


def test_sql_that_is_alike_on_both_passes():
    assert breaches(CLEAN) == []


@pytest.mark.parametrize("sql", FAILING)
def test_each_ban_has_an_example_that_fails(sql):
    assert any(FAILING[sql] in breach for breach in breaches(sql)), breaches(sql)


def test_what_only_duckdb_spells_stands_in_macros_alone():
    spelled = re.compile(r"\b(duckdb|spark)\b", re.IGNORECASE)
    named = [p.name for p in MODELS if spelled.search(p.read_text())]
    assert named == []


def test_every_macro_that_dispatches_speaks_both_languages():
    for path in sorted((DBT / "macros").glob("*.sql")):
        text = path.read_text()
        for name in re.findall(r"adapter\.dispatch\('(\w+)'", text):
            assert f"macro default__{name}(" in text, f"{path.name}: {name}"
            assert f"macro spark__{name}(" in text, f"{path.name}: {name}"
