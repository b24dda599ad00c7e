select
    table_name,
    venue,
    day_at,
    part_name,
    sha256,
    row_count,
    byte_count,
    first_event_at,
    last_event_at,
    added_at,
    removed_at

from {{ source('ops_source', 'manifest') }}

where day_at <= {{ as_of() }}
