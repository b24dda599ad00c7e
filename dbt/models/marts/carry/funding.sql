with

settlements as (

    select
        *,
        -- An hour ahead; of intervals below four hours a quarter, for an hour ahead they had not begun.
        {{ plus_seconds('event_at', '-least(3600, coalesce(interval_s / 4, 3600))') }} as forecast_by_at,
        least(3600e0, coalesce(interval_s / 4e0, 3600e0)) as lead_s,
        28800e0 / interval_s as intervals_in_8h

    from {{ ref('int_settlements') }}

),

contracts as (

    select
        instrument_id,
        min(base) as base,
        min(contract_type) as contract_type

    from {{ ref('stg_instruments') }}

    where kind = 'perp'

    group by instrument_id

),

-- ---------- what the venue had indicated

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
        settlements.*,
        indications.event_at as indicated_event_at,
        indications.rate as indicated_rate,
        indications.interval_s as indicated_interval_s

    from settlements

    {{ asof_left_join(
        'indications', 'indications', ['instrument_id'], 'settlements', 'forecast_by_at'
    ) }}

),

-- ---------- what the venue's formula says of the rate

candidates as (

    select
        forecast.*,
        formulas.formula_kind,
        formulas.clamp_rate,
        formulas.rate_step,
        -- Shares of the premium period: of the rate, and of the interest within it.
        case when formulas.is_divided then forecast.interval_s else formulas.premium_period_s end
        / cast(formulas.premium_period_s as double) as rate_share,
        formulas.interest_rate
        * case when formulas.is_interest_scaled then forecast.interval_s else formulas.premium_period_s end
        / cast(formulas.premium_period_s as double) as interest_rate,
        row_number() over (
            partition by forecast.instrument_id, forecast.event_at
            order by
                case when formulas.base = '*' then 1 else 0 end asc nulls last,
                case when formulas.contract_type = '*' then 1 else 0 end asc nulls last
        ) as choice

    from forecast

    left join contracts
        on forecast.instrument_id = contracts.instrument_id

    left join {{ ref('funding_formulas') }} as formulas
        on
            forecast.venue = formulas.venue
            and forecast.event_at >= formulas.valid_from
            and forecast.event_at < formulas.valid_to
            and forecast.interval_s = coalesce(formulas.only_interval_s, forecast.interval_s)
            and formulas.base in ('*', coalesce(contracts.base, forecast.underlying))
            and formulas.contract_type in ('*', coalesce(contracts.contract_type, '*'))

),

explained as (

    select
        *,
        -- Rates are cut to whole steps, the one that the clamp falls back on too.
        case when formula_kind <> 'premium' then coalesce(
            floor(interest_rate * rate_share / rate_step + 1e-6) / round(1 / rate_step),
            interest_rate * rate_share
        ) end as pinned_rate

    from candidates

    where choice = 1

),

-- ---------- what the venue lets it reach

limited as (

    select
        explained.*,
        abs(explained.rate - explained.pinned_rate) <= 1e-12 + coalesce(explained.rate_step, 0) / 4
            as is_pinned,
        coalesce(own.cap_rate, own_venue.cap_rate) * coalesce(
            explained.interval_s / cast(coalesce(own.interval_s, own_venue.interval_s) as double), 1
        ) as cap_rate,
        coalesce(own.floor_rate, own_venue.floor_rate) * coalesce(
            explained.interval_s / cast(coalesce(own.interval_s, own_venue.interval_s) as double), 1
        ) as floor_rate

    from explained

    left join {{ ref('funding_caps') }} as own
        on
            explained.instrument_id = own.instrument_id
            and explained.event_at >= own.valid_from
            and explained.event_at < own.valid_to

    left join {{ ref('funding_caps') }} as own_venue
        on
            concat_ws('', explained.venue, ':*') = own_venue.instrument_id
            and explained.event_at >= own_venue.valid_from
            and explained.event_at < own_venue.valid_to

),

judged as (

    select
        *,
        31536000e0 / interval_s as intervals_a_year,
        case
            when rate >= cap_rate - 1e-12 then 'cap'
            when rate <= floor_rate + 1e-12 then 'floor'
            when is_pinned then 'pin'
            when cap_rate is not null then 'none'
        end as limit_kind,
        -- An indication from before the interval speaks of another settlement, and one for an interval
        -- of another length (8 h are usual, whatever is settled) is brought to this one's.
        case
            when indicated_event_at > {{ plus_seconds('event_at', '-interval_s') }}
                then indicated_rate * (interval_s / cast(coalesce(indicated_interval_s, interval_s) as double)) - rate
        end as predicted_minus_settled

    from limited

),

unclamped as (

    select
        *,
        case
            when limit_kind is null or limit_kind = 'none'
                then {{ implied_premium('(rate / rate_share)', 'formula_kind', 'interest_rate', 'clamp_rate') }}
        end as implied_premium

    from judged

)

select
    venue,
    underlying,
    instrument_id,
    event_at,
    rate,
    interval_s,
    rate * intervals_in_8h as rate_8h,
    rate * intervals_a_year as apr,
    {{ growth('1 + rate', 'intervals_a_year') }} as apy,
    accrued,
    accrued_missing,
    missing_settlements,
    repeated_rows,
    formula_kind,
    pinned_rate,
    implied_premium,
    implied_premium * rate_share as unclamped_rate,
    cap_rate,
    floor_rate,
    limit_kind,
    case
        when limit_kind in ('cap', 'floor') then true
        when cap_rate is not null and floor_rate is not null then false
    end as is_capped,
    is_pinned,
    predicted_minus_settled,
    case when predicted_minus_settled is not null then lead_s end as prediction_lead_s,
    rate_available_at,
    available_at,
    {{ quality(
        'event_at',
        'event_at',
        'null',
        hard_flags=[
            ('interval_s is null', 'interval_unknown'),
            ('is_contradicted', 'contradicted_rate'),
        ],
        soft_flags=[
            ('gap_s > interval_s + 60', 'missing_settlement'),
            ('gap_s < interval_s - 60', 'early_settlement'),
            ('interval_s <> earlier_interval_s', 'interval_changed'),
            ('repeated_rows > 0', 'repeated_row'),
            ('is_late', 'late_settlement'),
            ('is_interval_inferred and interval_s is not null', 'interval_inferred'),
            ('is_availability_assumed', 'assumed_availability'),
        ]
    ) }}

from unclamped

where available_at <= {{ as_of() }}
