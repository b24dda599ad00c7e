-- A lot that does not divide every size would lose volume print by print.
select
    instrument_id,
    day_at,
    rounding_error

from {{ ref('int_vpin_fragments') }}

where rounding_error <> 0
