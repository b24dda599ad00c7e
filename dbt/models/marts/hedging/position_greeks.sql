with

decisions as (

    select * from {{ ref('int_decision_times') }}

),

facts as (

    select * from {{ ref('stg_instruments') }}

),

options as (

    select
        instrument_id,
        available_at,
        snapshot_at,
        numeraire,
        forward,
        coalesce(mid_price_usd, mark_price_usd) as price_usd,
        case when mid_price_usd is not null then 'mid' else 'mark' end as price_kind,
        delta,
        delta_premium_adjusted,
        gamma,
        vega_usd,
        theta_usd

    from {{ ref('quotes') }}

    where
        coalesce(mid_price_usd, mark_price_usd) is not null
        and delta is not null
        and instrument_id in (select instrument_id from {{ ref('stg_positions') }})

),

held as (

    select
        decisions.portfolio_id,
        decisions.underlying,
        decisions.as_of_at,
        positions.venue,
        positions.instrument_id,
        positions.quantity_contracts as stated_contracts,
        positions.quantity_base as stated_base

    from decisions

    inner join {{ ref('stg_positions') }} as positions
        on
            decisions.portfolio_id = positions.portfolio_id
            and decisions.underlying = positions.underlying
            and decisions.positions_at = positions.as_of_at

),

known as (

    select
        held.*,
        facts.kind,
        facts.contract_type,
        facts.settle as margin_asset,
        facts.contract_size,
        facts.expires_at,
        coalesce(facts.expires_at <= held.as_of_at, false) as is_expired,
        facts.kind = 'option' as is_option,
        facts.kind in ('perp', 'future') and facts.contract_type = 'inverse' as is_inverse

    from held

    {{ asof_left_join('facts', 'facts', ['instrument_id'], 'held', 'as_of_at', 'valid_from') }}

),

priced as (

    select
        known.*,
        states.underlying_price,
        states.underlying_price_source,
        options.numeraire,
        options.forward,
        options.delta,
        options.delta_premium_adjusted,
        options.gamma,
        options.vega_usd as unit_vega_usd,
        options.theta_usd as unit_theta_usd,
        case when known.is_option then options.price_usd else prices.price end as price,
        case when known.is_option then options.price_kind else prices.price_kind end as price_kind,
        case
            when known.is_option then {{ seconds_between('options.snapshot_at', 'known.as_of_at') }}
            else prices.price_age_s
        end as price_age_s,
        case
            when known.is_option
                then {{ seconds_between('options.snapshot_at', 'known.as_of_at') }} > rules.max_age_s
            else prices.is_stale
        end as is_stale

    from known

    {{ asof_left_join('options', 'options', ['instrument_id'], 'known', 'as_of_at') }}

    left join {{ ref('int_decision_prices') }} as prices
        on
            known.underlying = prices.underlying
            and known.as_of_at = prices.as_of_at
            and known.instrument_id = prices.instrument_id

    left join {{ ref('mark_rules') }} as rules
        on
            rules.feed = 'option'
            and known.as_of_at >= rules.valid_from
            and known.as_of_at < rules.valid_to

    left join {{ ref('int_decision_states') }} as states
        on known.underlying = states.underlying and known.as_of_at = states.as_of_at

),

sized as (

    select
        *,
        -- An inverse contract is sized in dollars: its coins depend on its own price.
        case
            when is_inverse then coalesce(stated_base, stated_contracts * contract_size / price)
            else coalesce(stated_base, stated_contracts * contract_size)
        end as coins,
        case
            when is_inverse then coalesce(stated_contracts, stated_base * price / contract_size)
            else coalesce(stated_contracts, stated_base / contract_size)
        end as contracts

    from priced

),

exposed as (

    select
        *,
        case
            when is_expired then 0
            when is_option and numeraire = 'coin' then coins * delta_premium_adjusted
            when is_option then coins * delta
            else coins
        end as delta_coin,
        case
            when is_expired then 0
            when is_option then coins * delta_premium_adjusted
            else coins
        end as delta_pa_coin,
        case when is_expired then 0 when is_option then coins * gamma else 0 end as gamma_coin,
        case
            when is_expired then 0
            when is_option then coins * (gamma - delta_premium_adjusted / forward)
            when is_inverse then -coins / price
            else 0
        end as gamma_pa_coin,
        case when is_expired then 0 when is_option then coins * unit_vega_usd else 0 end as vega_usd,
        case when is_expired then 0 when is_option then coins * unit_theta_usd else 0 end as theta_usd

    from sized

),

final as (

    select
        portfolio_id,
        underlying,
        venue,
        instrument_id,
        as_of_at,
        kind,
        contract_type,
        margin_asset,
        case when kind <> 'spot' then contracts end as quantity_contracts,
        coins as quantity_base,
        price,
        price_kind,
        price_age_s,
        case when is_expired then 0 when is_option or kind = 'spot' then coins * price end as value_usd,
        delta_coin,
        delta_coin * underlying_price as delta_usd,
        gamma_coin,
        gamma_coin * underlying_price * underlying_price / 100 as gamma_usd,
        vega_usd,
        vega_usd / underlying_price as vega_coin,
        theta_usd,
        theta_usd / underlying_price as theta_coin,
        delta_pa_coin,
        gamma_pa_coin,
        is_expired,
        is_stale and not is_expired as is_stale,
        as_of_at as available_at,
        {{ quality(
            'as_of_at',
            plus_seconds('as_of_at', '-price_age_s'),
            'null',
            hard_flags=[
                ('kind is null', 'unknown_instrument'),
                ('kind is not null and coins is null and contract_size is null', 'unknown_contract_size'),
                ('delta_coin is null', 'missing_price'),
                ('is_stale and not is_expired', 'stale_price'),
            ],
            soft_flags=[
                ("price_kind <> 'mid'", 'price_not_mid'),
                ('is_expired', 'expired_position'),
            ],
        ) }}

    from exposed

)

select * from final
