with

decisions as (

    select * from {{ ref('int_decision_times') }}

),

-- Sums go through decimals: a signal's identity may not depend on the order of rows.
books as (

    select
        portfolio_id,
        underlying,
        as_of_at,
        count(*) as position_count,
        count(*) filter (where delta_coin is null) as unpriced_count,
        count(*) filter (where is_stale) as stale_count,
        count(*) filter (where margin_asset = underlying) as coin_margined_count,
        count(*) filter (where kind = 'spot') as spot_count,
        max(price_age_s) filter (where not is_expired) as oldest_price_age_s,
        {{ exact_sum('delta_coin') }} as delta_coin,
        {{ exact_sum('abs(delta_coin)') }} as gross_delta_coin,
        {{ exact_sum('gamma_coin * 100000000') }} / 100000000 as gamma_coin,
        {{ exact_sum('vega_usd') }} as vega_usd,
        {{ exact_sum('theta_usd') }} as theta_usd,
        {{ exact_sum('delta_pa_coin') }} as delta_pa_coin,
        {{ exact_sum('gamma_pa_coin * 100000000') }} / 100000000 as gamma_pa_coin

    from {{ ref('position_greeks') }}

    group by portfolio_id, underlying, as_of_at

),

joined as (

    select
        decisions.portfolio_id,
        decisions.underlying,
        decisions.as_of_at,
        states.underlying_price,
        states.underlying_price_source,
        states.underlying_price_age_s,
        balances.equity as stated_equity,
        coalesce(balances.equity, 0) as equity_coin,
        coalesce(books.position_count, 0) as position_count,
        coalesce(books.unpriced_count, 0) as unpriced_count,
        coalesce(books.stale_count, 0) as stale_count,
        coalesce(books.coin_margined_count, 0) as coin_margined_count,
        coalesce(books.spot_count, 0) as spot_count,
        decisions.balances_at,
        books.oldest_price_age_s,
        case
            when coalesce(books.unpriced_count, 0) = 0 then coalesce(books.delta_coin, 0)
        end as positions_delta_coin,
        case
            when coalesce(books.unpriced_count, 0) = 0 then coalesce(books.gross_delta_coin, 0)
        end as gross_positions_coin,
        case when coalesce(books.unpriced_count, 0) = 0 then coalesce(books.gamma_coin, 0) end as gamma_coin,
        case when coalesce(books.unpriced_count, 0) = 0 then coalesce(books.vega_usd, 0) end as vega_usd,
        case when coalesce(books.unpriced_count, 0) = 0 then coalesce(books.theta_usd, 0) end as theta_usd,
        case when coalesce(books.unpriced_count, 0) = 0 then coalesce(books.delta_pa_coin, 0) end as delta_pa_coin,
        case when coalesce(books.unpriced_count, 0) = 0 then coalesce(books.gamma_pa_coin, 0) end as gamma_pa_coin

    from decisions

    left join books
        on
            decisions.portfolio_id = books.portfolio_id
            and decisions.underlying = books.underlying
            and decisions.as_of_at = books.as_of_at

    left join {{ ref('stg_balances') }} as balances
        on
            decisions.portfolio_id = balances.portfolio_id
            and decisions.balances_at = balances.as_of_at
            and decisions.underlying = balances.coin

    left join {{ ref('int_decision_states') }} as states
        on decisions.underlying = states.underlying and decisions.as_of_at = states.as_of_at

),

final as (

    select
        portfolio_id,
        underlying,
        as_of_at,
        'usd' as numeraire,
        underlying_price,
        underlying_price_source,
        equity_coin,
        positions_delta_coin,
        equity_coin + positions_delta_coin as delta_coin,
        (equity_coin + positions_delta_coin) * underlying_price as delta_usd,
        abs(equity_coin) + gross_positions_coin as gross_delta_coin,
        gamma_coin,
        gamma_coin * underlying_price * underlying_price / 100 as gamma_usd,
        vega_usd,
        vega_usd / underlying_price as vega_coin,
        theta_usd,
        theta_usd / underlying_price as theta_coin,
        delta_pa_coin,
        gamma_pa_coin,
        cast(position_count as integer) as position_count,
        cast(unpriced_count as integer) as unpriced_count,
        cast(stale_count as integer) as stale_count,
        oldest_price_age_s,
        as_of_at as available_at,
        {{ quality(
            'as_of_at',
            plus_seconds('as_of_at', '-coalesce(oldest_price_age_s, underlying_price_age_s)'),
            'null',
            hard_flags=[
                ('unpriced_count > 0', 'missing_price'),
                ('stale_count > 0', 'stale_price'),
                ('underlying_price is null', 'missing_underlying_price'),
            ],
            soft_flags=[
                (
                    'stated_equity is null and (balances_at is null or coin_margined_count > 0)',
                    'collateral_unknown',
                ),
                ('stated_equity is not null and spot_count > 0', 'spot_beside_balance'),
                ("underlying_price_source in ('future', 'forward')", 'underlying_price_from_forward'),
            ],
        ) }}

    from joined

)

select * from final
