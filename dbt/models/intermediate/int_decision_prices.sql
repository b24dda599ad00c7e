with

decisions as (

    select distinct
        underlying,
        as_of_at

    from {{ ref('int_decision_times') }}

),

prices as (

    select * from {{ ref('int_mark_prices') }}

),

listed as (

    select
        underlying,
        instrument_id,
        min(available_at) as known_at

    from prices

    group by underlying, instrument_id

),

facts as (

    select * from {{ ref('stg_instruments') }}

),

feeds as (

    select
        decisions.underlying,
        decisions.as_of_at,
        listed.instrument_id,
        rules.feed,
        rules.preference,
        rules.max_age_s

    from decisions

    inner join listed
        on decisions.underlying = listed.underlying and decisions.as_of_at >= listed.known_at

    inner join {{ ref('mark_rules') }} as rules
        on
            decisions.as_of_at >= rules.valid_from
            and decisions.as_of_at < rules.valid_to
            and rules.feed in ('mid', 'mark', 'last')

),

priced as (

    select
        feeds.underlying,
        feeds.as_of_at,
        feeds.instrument_id,
        feeds.feed,
        feeds.preference,
        feeds.max_age_s,
        prices.price,
        prices.priced_at,
        prices.spread_bps,
        prices.bid_usd,
        prices.ask_usd,
        {{ seconds_between('prices.priced_at', 'feeds.as_of_at') }} as age_s

    from feeds

    {{ asof_left_join('prices', 'prices', ['instrument_id', 'feed'], 'feeds', 'as_of_at') }}

),

-- The preferred of the fresh prices; where all are stale, the least stale.
ranked as (

    select
        *,
        row_number() over (
            partition by underlying, as_of_at, instrument_id
            order by
                case when age_s <= max_age_s then preference end asc nulls last,
                age_s asc nulls last,
                preference asc nulls last
        ) as place

    from priced

    where price is not null

),

chosen as (

    select *

    from ranked

    where place = 1

)

select
    chosen.underlying,
    chosen.as_of_at,
    chosen.instrument_id,
    facts.venue,
    facts.kind,
    facts.contract_type,
    facts.settle,
    facts.contract_size,
    facts.lot_size,
    facts.tick_size,
    facts.expires_at,
    chosen.price,
    chosen.feed as price_kind,
    chosen.priced_at,
    chosen.age_s as price_age_s,
    chosen.age_s > chosen.max_age_s as is_stale,
    chosen.spread_bps,
    chosen.bid_usd,
    chosen.ask_usd

from chosen

{{ asof_left_join('facts', 'facts', ['instrument_id'], 'chosen', 'as_of_at', 'valid_from') }}
