with

states as (

    select * from {{ ref('int_position_states') }}

),

-- An instrument's kind counts from the first evidence of it: before, nobody could have known.
first_evidence as (

    select
        instrument_id,
        min(valid_from) as known_from,
        max(kind) as kind

    from {{ ref('stg_instruments') }}

    group by instrument_id

),

held as (

    select
        states.portfolio_id,
        states.state_at,
        positions.underlying,
        min(first_evidence.known_from) filter (where first_evidence.kind = 'option') as options_from

    from states

    inner join {{ ref('stg_positions') }} as positions
        on states.portfolio_id = positions.portfolio_id and states.positions_at = positions.as_of_at

    left join first_evidence
        on positions.instrument_id = first_evidence.instrument_id

    group by states.portfolio_id, states.state_at, positions.underlying

),

-- Coins that are not dollars are exposed to their own price.
collateral as (

    select
        states.portfolio_id,
        states.state_at,
        balances.coin as underlying,
        cast(null as timestamp) as options_from

    from states

    inner join {{ ref('stg_balances') }} as balances
        on states.portfolio_id = balances.portfolio_id and states.balances_at = balances.as_of_at

    left join {{ ref('quote_assets') }} as quote_assets
        on balances.coin = quote_assets.asset and quote_assets.is_dollar

    where quote_assets.asset is null

),

exposed as (

    select * from held

    union all

    select * from collateral

)

select
    exposed.portfolio_id,
    exposed.underlying,
    exposed.state_at,
    states.superseded_at,
    states.positions_at,
    states.balances_at,
    min(exposed.options_from) as options_from

from exposed

inner join states
    on exposed.portfolio_id = states.portfolio_id and exposed.state_at = states.state_at

group by
    exposed.portfolio_id,
    exposed.underlying,
    exposed.state_at,
    states.superseded_at,
    states.positions_at,
    states.balances_at
