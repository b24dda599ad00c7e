with

decisions as (

    select distinct
        underlying,
        as_of_at

    from {{ ref('int_decision_times') }}

),

observed as (

    select
        underlying,
        feed,
        priced_at,
        available_at,
        price as observed_value

    from {{ ref('int_mark_underlyings') }}

    union all

    select
        underlying,
        feed,
        priced_at,
        available_at,
        vol as observed_value

    from {{ ref('int_mark_vols') }}

),

feeds as (

    select
        decisions.underlying,
        decisions.as_of_at,
        rules.feed,
        rules.preference,
        rules.max_age_s,
        case when rules.feed in ('atm_iv', 'realized_vol') then 'vol' else 'price' end as measure

    from decisions

    inner join {{ ref('mark_rules') }} as rules
        on
            decisions.as_of_at >= rules.valid_from
            and decisions.as_of_at < rules.valid_to
            and rules.feed in ('index', 'perpetual', 'spot', 'future', 'forward', 'atm_iv', 'realized_vol')

),

known as (

    select
        feeds.underlying,
        feeds.as_of_at,
        feeds.feed,
        feeds.preference,
        feeds.measure,
        observed.observed_value,
        {{ seconds_between('observed.priced_at', 'feeds.as_of_at') }} as age_s,
        feeds.max_age_s

    from feeds

    {{ asof_left_join('observed', 'observed', ['underlying', 'feed'], 'feeds', 'as_of_at') }}

),

ranked as (

    select
        *,
        row_number() over (
            partition by underlying, as_of_at, measure
            order by preference asc nulls last
        ) as place

    from known

    where age_s <= max_age_s

)

select
    decisions.underlying,
    decisions.as_of_at,
    prices.observed_value as underlying_price,
    prices.feed as underlying_price_source,
    prices.age_s as underlying_price_age_s,
    vols.observed_value as vol,
    vols.feed as vol_source

from decisions

left join ranked as prices
    on
        decisions.underlying = prices.underlying
        and decisions.as_of_at = prices.as_of_at
        and prices.measure = 'price'
        and prices.place = 1

left join ranked as vols
    on
        decisions.underlying = vols.underlying
        and decisions.as_of_at = vols.as_of_at
        and vols.measure = 'vol'
        and vols.place = 1
