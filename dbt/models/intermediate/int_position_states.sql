with

positions as (

    select distinct
        portfolio_id,
        as_of_at

    from {{ ref('stg_positions') }}

),

balances as (

    select distinct
        portfolio_id,
        as_of_at

    from {{ ref('stg_balances') }}

),

stated as (

    select
        coalesce(positions.portfolio_id, balances.portfolio_id) as portfolio_id,
        coalesce(positions.as_of_at, balances.as_of_at) as state_at,
        positions.as_of_at as positions_at,
        balances.as_of_at as balances_at

    from positions

    full join balances
        on positions.portfolio_id = balances.portfolio_id and positions.as_of_at = balances.as_of_at

),

-- A file of balances alone does not close positions, nor the other way round.
states as (

    select
        portfolio_id,
        state_at,
        max(positions_at) over held as positions_at,
        max(balances_at) over held as balances_at,
        lead(state_at) over (
            partition by portfolio_id
            order by state_at asc nulls last
        ) as superseded_at

    from stated

    window held as (
        partition by portfolio_id
        order by state_at asc nulls last
        rows between unbounded preceding and current row
    )

)

select * from states
