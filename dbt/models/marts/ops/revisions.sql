select
    table_name,
    venue,
    day_at,
    instrument_id,
    unit,
    committed_at,
    revised_at,
    status_before,
    status_after,
    row_count_before,
    row_count_after,
    source_before,
    source_after,
    raw_sha256_before,
    raw_sha256_after

from {{ source('ops_source', 'revisions') }}

where day_at <= {{ as_of() }}
