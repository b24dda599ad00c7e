with

exposed as (

    select distinct underlying from {{ ref('int_position_underlyings') }}

),

settled as (

    select
        funding.instrument_id,
        'settled' as kind,
        funding.event_at,
        funding.available_at,
        funding.rate,
        funding.interval_s

    from {{ ref('funding') }} as funding

    inner join exposed
        on funding.underlying = exposed.underlying

    where funding.interval_s is not null

),

indicative as (

    select
        funding.instrument_id,
        'indicative' as kind,
        funding.event_at,
        funding.available_at,
        funding.rate,
        funding.interval_s

    from {{ ref('stg_funding') }} as funding

    inner join exposed
        on funding.underlying = exposed.underlying

    where funding.kind = 'indicative' and funding.interval_s is not null

)

select * from settled

union all

select * from indicative
