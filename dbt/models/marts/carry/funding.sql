with

settlements as (

    select
        venue,
        underlying,
        instrument_id,
        event_at,
        available_at,
        is_availability_assumed,
        rate,
        interval_s as declared_interval_s,
        -- Stamps jitter by milliseconds: a gap counts in whole minutes.
        60 * cast(round({{ seconds_between(
            'lag(event_at) over (partition by instrument_id order by event_at asc nulls last)',
            'event_at'
        ) }} / 60) as bigint) as gap_s

    from {{ ref('stg_funding') }}

    where kind = 'settled'

),

spaced as (

    select
        *,
        coalesce(declared_interval_s, {{ most_frequent('gap_s') }} over (
            partition by instrument_id
            order by event_at asc nulls last
            rows between unbounded preceding and 1 preceding
        )) as interval_s,
        {{ plus_seconds('event_at', -3600) }} as forecast_by_at

    from settlements

),

indicated as (

    select
        instrument_id,
        event_at,
        available_at,
        rate,
        interval_s,
        row_number() over (
            partition by instrument_id, available_at
            order by event_at desc nulls last
        ) as place

    from {{ ref('stg_funding') }}

    where kind = 'indicative'

),

indications as (

    select *

    from indicated

    where place = 1

),

forecast as (

    select
        spaced.*,
        indications.event_at as indicated_event_at,
        indications.rate as indicated_rate,
        indications.interval_s as indicated_interval_s

    from spaced

    {{ asof_left_join(
        'indications', 'indications', ['instrument_id'], 'spaced', 'forecast_by_at'
    ) }}

),

judged as (

    select
        forecast.*,
        caps.cap_rate,
        caps.floor_rate,
        31536000e0 / forecast.interval_s as intervals_a_year,
        -- An indication from before the interval speaks of another settlement, and one for an interval
        -- of another length (8 h are usual, whatever is settled) is brought to this one's.
        case
            when
                forecast.indicated_event_at
                > {{ plus_seconds('forecast.event_at', '-forecast.interval_s') }}
                then
                    forecast.indicated_rate * (forecast.interval_s / forecast.indicated_interval_s)
                    - forecast.rate
        end as predicted_minus_settled

    from forecast

    left join {{ ref('funding_caps') }} as caps
        on
            forecast.instrument_id = caps.instrument_id
            and forecast.event_at >= caps.valid_from
            and forecast.event_at < caps.valid_to

)

select
    venue,
    underlying,
    instrument_id,
    event_at,
    rate,
    interval_s,
    rate * intervals_a_year as apr,
    {{ growth('1 + rate', 'intervals_a_year') }} as apy,
    rate >= cap_rate or rate <= floor_rate as is_capped,
    predicted_minus_settled,
    case when predicted_minus_settled is not null then 3600e0 end as prediction_lead_s,
    available_at,
    {{ quality(
        'event_at',
        'event_at',
        'null',
        hard_flags=[('interval_s is null', 'interval_unknown')],
        soft_flags=[
            ('gap_s > interval_s + 60', 'missing_settlement'),
            ('gap_s < interval_s - 60', 'early_settlement'),
            ('declared_interval_s is null and interval_s is not null', 'interval_inferred'),
            ('is_availability_assumed', 'assumed_availability'),
        ]
    ) }}

from judged

where available_at <= {{ as_of() }}
