{# An answer so much later than its mark is not of the moment of what stood at the mark. #}
{% set late_s = 5 %}

with

quotes as (

    select *

    from {{ ref('int_basis_quotes') }}

    where kind in ('perp', 'future')

),

price_kinds as (

    select 'mid' as price_kind

    union all

    select 'mark' as price_kind

    union all

    select 'last' as price_kind

),

quoted as (

    select
        quotes.venue,
        quotes.underlying,
        quotes.instrument_id,
        quotes.snapshot_at,
        quotes.kind,
        quotes.contract_type,
        quotes.base,
        quotes.quote,
        quotes.expires_at,
        quotes.available_at,
        quotes.is_availability_assumed,
        price_kinds.price_kind,
        case price_kinds.price_kind
            when 'mid' then quotes.mid_price
            when 'mark' then quotes.mark_price
            else quotes.last_price
        end as price,
        case when price_kinds.price_kind = 'mid' then quotes.half_spread_bps end as half_spread_bps,
        case price_kinds.price_kind
            when 'mid' then quotes.mid_at
            when 'mark' then quotes.mark_at
            else quotes.last_at
        end as observed_at,
        -- A ticker tells the last price and not when it was paid: that may be long ago.
        price_kinds.price_kind = 'last' as is_undated

    from quotes

    cross join price_kinds

),

priced as (

    select *

    from quoted

    where price > 0

    union all

    select
        venue,
        underlying,
        instrument_id,
        snapshot_at,
        kind,
        contract_type,
        base,
        quote,
        expires_at,
        available_at,
        is_availability_assumed,
        'last' as price_kind,
        close_price as price,
        cast(null as double) as half_spread_bps,
        traded_at as observed_at,
        false as is_undated

    from {{ ref('int_basis_trades') }}

    where kind in ('perp', 'future') and close_price > 0

),

-- A mark at midnight may be seen from both days: the newer counts. A last price on the tape has its time.
newest as (

    select
        *,
        row_number() over (
            partition by instrument_id, price_kind, snapshot_at
            order by
                case when is_undated then 1 else 0 end asc nulls last,
                observed_at desc nulls last,
                available_at desc nulls last
        ) as age_rank

    from priced

    where expires_at is null or snapshot_at < expires_at

),

derivatives as (

    select
        newest.*,
        rules.entry_z,
        rules.exit_z,
        rules.max_asynchrony_s,
        rules.max_index_gap_bps

    from newest

    left join {{ ref('basis_rules') }} as rules
        on
            newest.kind = rules.kind
            and newest.snapshot_at >= rules.valid_from
            and newest.snapshot_at < rules.valid_to

    where newest.age_rank = 1

),

indices as (

    select
        instrument_id,
        snapshot_at,
        {{ last_by('index_price', ['index_at']) }} as index_price,
        max(index_at) as observed_at,
        max(available_at) as available_at,
        max(case when is_availability_assumed then 1 else 0 end) = 1 as is_availability_assumed

    from quotes

    where index_price > 0

    group by instrument_id, snapshot_at

),

spots as (

    select
        derivatives.instrument_id,
        derivatives.price_kind,
        derivatives.snapshot_at,
        derivatives.quote,
        spot.instrument_id as spot_instrument_id,
        spot.spot_source,
        spot.source_rank,
        derivatives.venue = spot.venue as is_same_venue,
        derivatives.observed_at as priced_at,
        derivatives.max_asynchrony_s,
        spot.price,
        spot.quote as spot_quote,
        spot.observed_at,
        spot.available_at,
        spot.is_availability_assumed

    from derivatives

    inner join {{ ref('int_spot_prices') }} as spot
        on
            derivatives.base = spot.base
            and derivatives.snapshot_at = spot.snapshot_at

    union all

    -- A venue's index of a contract is in that contract's quote currency.
    select
        derivatives.instrument_id,
        derivatives.price_kind,
        derivatives.snapshot_at,
        derivatives.quote,
        cast(null as varchar) as spot_instrument_id,
        'index' as spot_source,
        3 as source_rank,
        true as is_same_venue,
        derivatives.observed_at as priced_at,
        derivatives.max_asynchrony_s,
        indices.index_price as price,
        derivatives.quote as spot_quote,
        indices.observed_at,
        indices.available_at,
        indices.is_availability_assumed

    from derivatives

    inner join indices
        on
            derivatives.instrument_id = indices.instrument_id
            and derivatives.snapshot_at = indices.snapshot_at

    union all

    -- In want of both, a future is set against the perpetual beside it, which funding ties to spot.
    select
        futures.instrument_id,
        futures.price_kind,
        futures.snapshot_at,
        futures.quote,
        perpetuals.instrument_id as spot_instrument_id,
        'perpetual' as spot_source,
        4 as source_rank,
        true as is_same_venue,
        futures.observed_at as priced_at,
        futures.max_asynchrony_s,
        perpetuals.price,
        perpetuals.quote as spot_quote,
        perpetuals.observed_at,
        perpetuals.available_at,
        perpetuals.is_availability_assumed

    from derivatives as futures

    inner join derivatives as perpetuals
        on
            futures.venue = perpetuals.venue
            and futures.base = perpetuals.base
            and futures.quote = perpetuals.quote
            and futures.contract_type = perpetuals.contract_type
            and futures.price_kind = perpetuals.price_kind
            and futures.snapshot_at = perpetuals.snapshot_at
            and futures.kind = 'future'
            and perpetuals.kind = 'perp'

),

converted as (

    select
        spots.*,
        case
            when spots.spot_quote = spots.quote then cast(1 as double)
            else rates.rate
        end as stablecoin_rate,
        greatest(
            spots.available_at,
            coalesce(rates.available_at, spots.available_at)
        ) as converted_available_at,
        rates.observed_at as rate_at,
        coalesce(rates.is_availability_assumed, false) as is_rate_availability_assumed,
        case
            when
                abs({{ seconds_between('spots.observed_at', 'spots.priced_at') }}) > spots.max_asynchrony_s
                then 1
            else 0
        end as is_of_another_moment,
        case
            when {{ seconds_between('spots.snapshot_at', 'spots.observed_at') }} > {{ late_s }} then 1
            else 0
        end as is_late,
        case
            when
                {{ seconds_between('spots.snapshot_at', 'spots.observed_at') }} > {{ late_s }}
                and {{ seconds_between('spots.snapshot_at', 'spots.priced_at') }} <= {{ late_s }}
                then 1
            else 0
        end as is_later_than_price,
        coalesce(quote_asset.is_dollar, false) as is_dollar_quote,
        coalesce(spot_asset.is_dollar and quote_asset.is_dollar, false) as is_dollar_pair

    from spots

    left join {{ ref('int_stablecoin_rates') }} as rates
        on
            spots.spot_quote = rates.from_asset
            and spots.quote = rates.to_asset
            and spots.snapshot_at = rates.snapshot_at
            and spots.spot_quote <> spots.quote

    left join {{ ref('quote_assets') }} as spot_asset
        on spots.spot_quote = spot_asset.asset

    left join {{ ref('quote_assets') }} as quote_asset
        on spots.quote = quote_asset.asset

),

-- Venues differ by more than a moment does: of those seen at one time the newest is no better than the own venue's.
ranked as (

    select
        *,
        price * coalesce(stablecoin_rate, 1) as spot_price,
        row_number() over (
            partition by instrument_id, price_kind, snapshot_at
            order by
                case when spot_source = 'perpetual' then 1 else 0 end asc nulls last,
                is_later_than_price asc nulls last,
                case when stablecoin_rate is null then 1 else 0 end asc nulls last,
                is_of_another_moment asc nulls last,
                source_rank asc nulls last,
                case when spot_quote = quote then 0 else 1 end asc nulls last,
                case when is_same_venue then 0 else 1 end asc nulls last,
                spot_quote asc nulls last,
                spot_instrument_id asc nulls last
        ) as choice,
        row_number() over (
            partition by instrument_id, price_kind, snapshot_at, source_rank < 3
            order by
                case when stablecoin_rate is null then 1 else 0 end asc nulls last,
                is_of_another_moment asc nulls last,
                source_rank asc nulls last,
                case when spot_quote = quote then 0 else 1 end asc nulls last,
                case when is_same_venue then 0 else 1 end asc nulls last,
                spot_quote asc nulls last,
                spot_instrument_id asc nulls last
        ) as choice_of_its_kind

    from converted

    where (stablecoin_rate is not null or is_dollar_pair) and price > 0

),

-- What the venue holds spot to be, and what spot markets say.
opinions as (

    select
        instrument_id,
        price_kind,
        snapshot_at,
        max(case when spot_source = 'index' and is_late = 0 then spot_price end) as index_price,
        max(case when source_rank < 3 and choice_of_its_kind = 1 then spot_price end)
            as market_price,
        max(available_at) as available_at

    from ranked

    group by instrument_id, price_kind, snapshot_at

),

chosen as (

    select
        ranked.*,
        10000 * (opinions.index_price / opinions.market_price - 1) as index_gap_bps,
        opinions.available_at as opinions_available_at

    from ranked

    inner join opinions
        on
            ranked.instrument_id = opinions.instrument_id
            and ranked.price_kind = opinions.price_kind
            and ranked.snapshot_at = opinions.snapshot_at

    where ranked.choice = 1

),

paired as (

    select
        derivatives.venue,
        derivatives.underlying,
        derivatives.instrument_id,
        derivatives.price_kind,
        derivatives.snapshot_at,
        derivatives.kind,
        derivatives.contract_type,
        derivatives.quote,
        derivatives.expires_at,
        derivatives.price,
        derivatives.is_undated,
        derivatives.half_spread_bps,
        derivatives.entry_z,
        derivatives.exit_z,
        derivatives.max_asynchrony_s,
        derivatives.max_index_gap_bps,
        chosen.spot_price,
        chosen.spot_source,
        chosen.spot_instrument_id,
        chosen.stablecoin_rate,
        chosen.is_dollar_quote,
        chosen.is_later_than_price = 1 as is_spot_late,
        chosen.index_gap_bps,
        derivatives.price / chosen.spot_price as ratio,
        chosen.spot_source is not null
        and chosen.stablecoin_rate is null as is_stablecoin_rate_assumed,
        {{ seconds_between('derivatives.snapshot_at', 'derivatives.expires_at') }} / 86400
            as tenor_days,
        {{ seconds_between('derivatives.observed_at', 'derivatives.snapshot_at') }} as price_age_s,
        {{ seconds_between('chosen.observed_at', 'derivatives.snapshot_at') }} as spot_age_s,
        {{ seconds_between('chosen.rate_at', 'derivatives.snapshot_at') }} as rate_age_s,
        greatest(
            derivatives.snapshot_at,
            derivatives.available_at,
            coalesce(chosen.converted_available_at, derivatives.available_at),
            coalesce(chosen.opinions_available_at, derivatives.available_at)
        ) as available_at,
        greatest(
            derivatives.observed_at,
            coalesce(chosen.observed_at, derivatives.observed_at)
        ) as newest_observed_at,
        derivatives.is_availability_assumed
        or coalesce(chosen.is_availability_assumed, false)
        or coalesce(chosen.is_rate_availability_assumed, false) as is_availability_assumed

    from derivatives

    left join chosen
        on
            derivatives.instrument_id = chosen.instrument_id
            and derivatives.price_kind = chosen.price_kind
            and derivatives.snapshot_at = chosen.snapshot_at

),

annualised as (

    select
        *,
        case when is_dollar_quote then price - spot_price end as basis_usd,
        10000 * (ratio - 1) as basis_bps,
        case when tenor_days >= 1 then (ratio - 1) * 365 / tenor_days end as basis_simple,
        case when tenor_days >= 1 then ln(ratio) * 365 / tenor_days end as basis_log,
        case when tenor_days >= 1 then {{ growth('ratio', '365 / tenor_days') }} end as basis_compound

    from paired

),

-- Price errs by as many basis points a day before expiry as three months before; a rate does not. So a future's
-- basis is set against the past's straight line to nothing at expiry, a perpetual's against its mean.
compared as (

    select
        *,
        case when kind = 'perp' then 1 else tenor_days end as weight,
        -- From what is compared to what the bands are told in.
        case when kind = 'perp' then cast(1 as double) else 365 / (10000 * tenor_days) end as unit,
        case when abs(basis_bps) < 1e8 and (kind = 'perp' or tenor_days >= 1) then basis_bps end
            as compared_bps

    from annualised

),

-- Against rows over the same spot alone: spot markets and an index differ by more than a basis moves. Sums
-- of decimals: the same bits whatever rows come later.
remembered as (

    select
        *,
        count(compared_bps) over month_before as past_rows,
        cast(sum({{ exact('compared_bps * weight') }}) over month_before as double) as past_products,
        cast(
            sum(case when compared_bps is not null then {{ exact('weight * weight') }} end) over month_before
            as double
        ) as past_weights,
        cast(sum({{ exact('compared_bps * compared_bps') }}) over month_before as double) as past_squares,
        max(available_at) over month_before as past_available_at

    from compared

    window month_before as (
        partition by
            instrument_id, price_kind, spot_source, spot_instrument_id, is_stablecoin_rate_assumed
        order by snapshot_at asc nulls last
        range between interval '30 days' preceding and interval '1 microsecond' preceding
    )

),

averaged as (

    select
        *,
        weight * past_products / nullif(past_weights, 0) as expected_bps,
        sqrt(
            greatest(past_squares - past_products * past_products / nullif(past_weights, 0), 0)
            / nullif(past_rows - 1, 0)
        ) as past_deviation

    from remembered

),

judged as (

    select
        *,
        -- A basis that never moved has no scale to measure by.
        past_rows >= 30
        and compared_bps is not null
        and past_deviation > 1e-6 * greatest(abs(expected_bps), 1) as has_past

    from averaged

),

scored as (

    select
        *,
        case when has_past then (compared_bps - expected_bps) / past_deviation end as z_30d

    from judged

),

final as (

    select
        venue,
        underlying,
        instrument_id,
        price_kind,
        snapshot_at,
        kind,
        contract_type,
        quote,
        expires_at,
        tenor_days,
        price,
        half_spread_bps,
        spot_price,
        spot_source,
        spot_instrument_id,
        stablecoin_rate,
        is_stablecoin_rate_assumed,
        index_gap_bps,
        cast(price_age_s as double) as price_age_s,
        cast(spot_age_s as double) as spot_age_s,
        basis_usd,
        basis_bps,
        basis_simple,
        basis_log,
        basis_compound,
        z_30d,
        case when has_past then unit * (expected_bps + entry_z * past_deviation) end as entry_high,
        case when has_past then unit * (expected_bps - entry_z * past_deviation) end as entry_low,
        case when has_past then unit * (expected_bps + exit_z * past_deviation) end as exit_high,
        case when has_past then unit * (expected_bps - exit_z * past_deviation) end as exit_low,
        case
            when z_30d >= entry_z then 'enter_short_derivative'
            when z_30d <= -entry_z then 'enter_long_derivative'
            when abs(z_30d) <= exit_z then 'exit'
            when z_30d is not null then 'none'
        end as entry_exit_flag,
        available_at as prices_available_at,
        case
            when has_past then greatest(available_at, past_available_at)
            else available_at
        end as available_at,
        {{ quality(
            'snapshot_at',
            'newest_observed_at',
            'null',
            hard_flags=[('spot_price is null', 'no_spot')],
            soft_flags=[
                ('is_stablecoin_rate_assumed', 'stablecoin_assumed'),
                ("spot_source = 'perpetual'", 'perpetual_as_spot'),
                (
                    'abs(price_age_s - spot_age_s) > max_asynchrony_s'
                    ~ ' or abs(price_age_s - rate_age_s) > max_asynchrony_s or is_spot_late or is_undated',
                    'asynchronous',
                ),
                ('abs(index_gap_bps) > max_index_gap_bps', 'index_unlike_spot'),
                ('is_availability_assumed', 'assumed_availability'),
            ]
        ) }}

    from scored

)

select *

from final

where available_at <= {{ as_of() }}
