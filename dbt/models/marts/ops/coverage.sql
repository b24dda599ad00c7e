select
    venue,
    table_name,
    instrument_id,
    day_at,
    unit,
    status,
    row_count,
    source,
    proof,
    raw_sha256,
    committed_at

from {{ source('ops_source', 'coverage') }}

where day_at <= {{ as_of() }}
