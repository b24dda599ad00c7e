with

exposed as (

    select * from {{ ref('int_position_underlyings') }}

),

-- Everything a decision uses was known by its own time, so that time is the time of knowledge.
chains as (

    select distinct
        underlying,
        available_at as as_of_at

    from {{ ref('int_option_snapshots') }}

),

bins as (

    select distinct
        underlying,
        {{ bin_end('available_at', 300) }} as as_of_at

    from {{ ref('int_mark_prices') }}

),

moments as (

    select
        underlying,
        as_of_at,
        true as is_chain

    from chains

    union all

    select
        underlying,
        as_of_at,
        false as is_chain

    from bins

)

select
    exposed.portfolio_id,
    exposed.underlying,
    moments.as_of_at,
    exposed.state_at,
    exposed.positions_at,
    exposed.balances_at

from exposed

inner join moments
    on
        exposed.underlying = moments.underlying
        and exposed.state_at <= moments.as_of_at
        and (exposed.superseded_at is null or exposed.superseded_at > moments.as_of_at)

-- A book with options is decided when its chain is known whole, one without at each bin with news.
where
    moments.is_chain = coalesce(exposed.options_from <= moments.as_of_at, false)
    and moments.as_of_at <= {{ as_of() }}
