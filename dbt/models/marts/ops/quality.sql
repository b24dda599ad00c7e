select
    table_name,
    venue,
    day_at,
    source_path,
    expectation,
    column_name,
    is_blocking,
    is_passed,
    evaluated_count,
    unexpected_count,
    reason,
    checked_at

from {{ source('ops_source', 'quality') }}

where day_at <= {{ as_of() }}
