with

source as (

    select * from {{ source('lake', 'balances') }}

),

timed as (

    select
        ---------- identity
        source.portfolio_id,
        source.coin,

        ---------- time
        source.as_of_at,
        source.as_of_at as available_at,

        ---------- measures
        source.cash,
        source.equity,
        source.haircut

    from source

),

ranked as (

    select
        *,
        {{ place_among_equals(['portfolio_id', 'as_of_at', 'coin']) }}

    from timed

    where available_at <= {{ as_of() }}

)

select
    portfolio_id,
    coin,
    as_of_at,
    available_at,
    cash,
    equity,
    haircut

from ranked

where place_among_equals = 1
