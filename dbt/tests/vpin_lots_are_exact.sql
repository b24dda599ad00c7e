-- Fragments of a day hold what was traded on it, to the last lot.
with

held as (

    select
        instrument_id,
        classification,
        day_at,
        max(places) as places,
        sum(buy_lots + sell_lots) as lots

    from {{ ref('int_vpin_fragments') }}

    group by instrument_id, classification, day_at

)

select
    held.instrument_id,
    held.classification,
    held.day_at,
    held.lots

from held

inner join {{ ref('int_vpin_days') }} as days
    on
        held.instrument_id = days.instrument_id
        and held.day_at = days.day_at

where
    held.lots <> {{ lots_of(
        "case held.classification when 'bulk' then days.volume_native else days.sided_native end",
        'held.places'
    ) }}
