{{ config(
    materialized='incremental',
    incremental_strategy='microbatch',
    event_time='snapshot_at',
    meta={'reads_day_before': true, 'rows_from': ['option_quotes']},
) }}

with

chains as (

    select
        venue,
        underlying,
        snapshot_at,
        max(available_at) as available_at,
        count(*) as option_count,
        {{ last_by('index_price', ['coalesce(quoted_at, snapshot_at)', 'instrument_id']) }} filter (
            where index_price is not null
        ) as chain_index_price

    from {{ ref('stg_option_quotes') }}

    group by venue, underlying, snapshot_at

),

indexes as (

    select
        venue,
        underlying,
        available_at,
        {{ last_by('index_price', ['snapshot_at', 'instrument_id']) }} as index_price,
        max(snapshot_at) as priced_at

    from {{ uncut(ref('stg_quotes')) }}

    where index_price is not null and {{ in_batch_or_day_before('day_at') }}

    group by venue, underlying, available_at

),

perpetuals as (

    select
        quotes.venue,
        quotes.underlying,
        quotes.available_at,
        -- The inverse perpetual trades against the same index as the coin-settled chain.
        {{ last_by('quotes.mid_price', [
            'quotes.snapshot_at', "instruments.contract_type = 'inverse'", 'quotes.instrument_id',
        ]) }} as mid_price,
        max(quotes.snapshot_at) as priced_at

    from {{ uncut(ref('stg_quotes')) }} as quotes

    inner join {{ ref('stg_instruments') }} as instruments
        on
            quotes.instrument_id = instruments.instrument_id
            and {{ day_of('quotes.snapshot_at') }} = instruments.valid_from

    where
        instruments.kind = 'perp'
        and quotes.mid_price is not null
        and {{ in_batch_or_day_before('quotes.day_at') }}

    group by quotes.venue, quotes.underlying, quotes.available_at

),

limits as (

    select * from {{ ref('option_filters') }}

),

joined as (

    select
        chains.venue,
        chains.underlying,
        chains.snapshot_at,
        chains.available_at,
        chains.option_count,
        chains.chain_index_price,
        case
            when {{ seconds_between('indexes.priced_at', 'chains.snapshot_at') }} <= limits.max_reference_age_s
                then indexes.index_price
        end as venue_index_price,
        case
            when {{ seconds_between('perpetuals.priced_at', 'chains.snapshot_at') }} <= limits.max_reference_age_s
                then perpetuals.mid_price
        end as perpetual_price

    from chains

    {{ asof_left_join('indexes', 'indexes', ['venue', 'underlying'], 'chains', 'available_at') }}

    {{ asof_left_join('perpetuals', 'perpetuals', ['venue', 'underlying'], 'chains', 'available_at') }}

    inner join limits
        on chains.snapshot_at >= limits.valid_from and chains.snapshot_at < limits.valid_to

)

select
    venue,
    underlying,
    snapshot_at,
    available_at,
    option_count,
    coalesce(chain_index_price, venue_index_price, perpetual_price) as index_price,
    case
        when chain_index_price is not null then 'chain'
        when venue_index_price is not null then 'venue'
        when perpetual_price is not null then 'perpetual'
    end as index_source

from joined
