with

legs as (

    select * from {{ ref('int_carry_legs') }}

),

derivatives as (

    select *

    from legs

    where kind in ('perp', 'future')

),

spots as (

    select *

    from legs

    where kind = 'spot'

),

-- Each pair as the position that is short its first leg and long its second.
pairs as (

    select
        case derivatives.kind when 'future' then 'cash_and_carry' else 'perp_basis' end as strategy,
        derivatives.underlying,
        derivatives.snapshot_at,
        derivatives.instrument_id as first_id,
        spots.instrument_id as second_id,
        '' as long_id,
        {{ seconds_between('derivatives.snapshot_at', 'derivatives.expires_at') }} / 86400 as tenor_days,
        derivatives.mid_price as first_price,
        spots.mid_price as second_price,
        derivatives.quote as first_quote,
        spots.quote as second_quote,
        derivatives.mid_at as first_mid_at,
        spots.mid_at as second_mid_at,
        greatest(derivatives.available_at, spots.available_at) as available_at,
        derivatives.is_availability_assumed or spots.is_availability_assumed as is_availability_assumed

    from derivatives

    inner join spots
        on
            derivatives.base = spots.base
            and derivatives.snapshot_at = spots.snapshot_at

    union all

    select
        'cross_venue_funding' as strategy,
        first_leg.underlying,
        first_leg.snapshot_at,
        first_leg.instrument_id as first_id,
        second_leg.instrument_id as second_id,
        second_leg.instrument_id as long_id,
        cast(null as double) as tenor_days,
        first_leg.mid_price as first_price,
        second_leg.mid_price as second_price,
        first_leg.quote as first_quote,
        second_leg.quote as second_quote,
        first_leg.mid_at as first_mid_at,
        second_leg.mid_at as second_mid_at,
        greatest(first_leg.available_at, second_leg.available_at) as available_at,
        first_leg.is_availability_assumed or second_leg.is_availability_assumed as is_availability_assumed

    from derivatives as first_leg

    inner join derivatives as second_leg
        on
            first_leg.underlying = second_leg.underlying
            and first_leg.snapshot_at = second_leg.snapshot_at
            and first_leg.instrument_id < second_leg.instrument_id
            and first_leg.venue <> second_leg.venue

    where first_leg.kind = 'perp' and second_leg.kind = 'perp'

),

converted as (

    select
        pairs.*,
        pairs.first_id as short_id,
        case when pairs.first_quote = pairs.second_quote then 1 else rates.rate end as stablecoin_rate,
        greatest(
            pairs.snapshot_at,
            pairs.available_at,
            coalesce(rates.available_at, pairs.available_at)
        ) as converted_available_at,
        rates.observed_at as rate_at,
        pairs.is_availability_assumed
        or coalesce(rates.is_availability_assumed, false) as is_any_availability_assumed

    from pairs

    left join {{ ref('int_stablecoin_rates') }} as rates
        on
            pairs.second_quote = rates.from_asset
            and pairs.first_quote = rates.to_asset
            and pairs.snapshot_at = rates.snapshot_at
            and pairs.first_quote <> pairs.second_quote

),

funding as (

    select * from {{ ref('int_carry_funding') }}

),

funded as (

    select
        converted.*,
        converted.first_price / (converted.second_price * coalesce(converted.stablecoin_rate, 1)) as ratio,
        funding.block_end_at,
        funding.blocks_known,
        funding.apr_p05,
        funding.apr_p50,
        funding.apr_p95

    from converted

    {{ asof_left_join(
        'funding', 'funding', ['short_id', 'long_id'], 'converted', 'converted_available_at'
    ) }}

),

indications as (

    select * from {{ ref('int_carry_indications') }}

),

-- Where no settlement is known yet there may be what the venues say is coming.
indicated as (

    select
        funded.*,
        indications.apr as indicated_apr,
        indications.event_at as indicated_at

    from funded

    {{ asof_left_join(
        'indications', 'indications', ['short_id', 'long_id'], 'funded', 'converted_available_at'
    ) }}

),

earning as (

    select
        *,
        case
            when strategy <> 'cash_and_carry' then coalesce(apr_p50, indicated_apr)
            when tenor_days >= 1 then (ratio - 1) * 365 / tenor_days
        end as first_short_apr

    from indicated

)

select
    strategy,
    underlying,
    snapshot_at,
    case when first_short_apr < 0 then second_id else first_id end as short_instrument_id,
    case when first_short_apr < 0 then first_id else second_id end as long_instrument_id,
    tenor_days,
    10000 * (ratio - 1) as basis_bps,
    stablecoin_rate,
    abs(first_short_apr) as gross_notional_apr,
    coalesce(blocks_known, 0) as blocks_known,
    coalesce(block_end_at, indicated_at) as funding_at,
    strategy <> 'cash_and_carry' and apr_p50 is null and indicated_apr is not null as is_indicative_only,
    case when first_short_apr < 0 then -apr_p95 else apr_p05 end as funding_apr_p05,
    abs(apr_p50) as funding_apr_p50,
    case when first_short_apr < 0 then -apr_p05 else apr_p95 end as funding_apr_p95,
    first_mid_at,
    second_mid_at,
    rate_at,
    converted_available_at as available_at,
    is_any_availability_assumed as is_availability_assumed

from earning
