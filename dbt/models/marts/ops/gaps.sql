select
    venue,
    table_name,
    instrument_id,
    started_at,
    ended_at,
    cause,
    missing_count,
    detail,
    repaired_by

from {{ source('ops_source', 'gaps') }}

where ended_at <= {{ as_of() }}
