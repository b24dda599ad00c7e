select
    table_name,
    venue,
    source_path,
    source_sha256,
    row_number,
    reason,
    row_text,
    refused_at

from {{ source('ops_source', 'quarantine') }}
