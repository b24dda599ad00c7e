select
    generation,
    event,
    published_at,
    as_of_at,
    committed_by_at,
    data_through_at,
    world_origin,
    world_mode,
    contract_version

from {{ source('ops_source', 'generations') }}
