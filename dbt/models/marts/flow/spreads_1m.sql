with

partial as (

    -- What a minute's prints were followed by may lie in the next day.
    select
        venue,
        underlying,
        instrument_id,
        {{ exploded('minutes') }} as sums

    from {{ ref('int_flow_days') }}

),

minutes as (

    select
        venue,
        underlying,
        instrument_id,
        {{ instant_of('sums.minute * 60000000') }} as minute_at,
        {{ instant_of('max(sums.newest_us)') }} as newest_event_at,
        {{ instant_of('max(sums.known_us)') }} as inputs_available_at,
        sum(sums.buys) as buy_count,
        sum(sums.sells) as sell_count,
        sum(sums.unsided) as unsided_count,
        sum(sums.priced) as priced_count,
        sum(sums.of_books) as book_count,
        sum(sums.weight) as weight,
        sum(sums.effective) as effective,
        sum(sums.age_s) as age_s,
        sum(sums.quoted) as quoted,
        sum(sums.quoted_s) as quoted_s,
        sum(sums.count_5s) as count_5s,
        sum(sums.count_1m) as count_1m,
        sum(sums.count_5m) as count_5m,
        sum(sums.realised_5s) as realised_5s,
        sum(sums.realised_1m) as realised_1m,
        sum(sums.realised_5m) as realised_5m

    from partial

    group by venue, underlying, instrument_id, sums.minute

),

timed as (

    select
        *,
        {{ minute_end('minute_at') }} as minute_end_at,
        -- The mid five minutes after the last print.
        {{ plus_seconds(minute_end('minute_at'), 300) }} as closes_at

    from minutes

),

depths as (

    select * from {{ ref('int_book_depths') }}

),

met as (

    select
        timed.*,
        bars.coverage_share,
        bars.trade_count is not null and bars.coverage_share is null as is_unproven,
        coalesce({{ has_flag('bars.quality_flags', 'assumed_availability') }}, false) as is_assumed,
        bars.available_at as bars_available_at,
        {{ seconds_between('depths.stood_at', 'timed.minute_end_at') }} as depth_age_s,
        depths.available_at as depth_available_at,
        depths.depth_bid_5bps_usd,
        depths.depth_bid_10bps_usd,
        depths.depth_bid_25bps_usd,
        depths.depth_bid_50bps_usd,
        depths.depth_bid_100bps_usd,
        depths.depth_ask_5bps_usd,
        depths.depth_ask_10bps_usd,
        depths.depth_ask_25bps_usd,
        depths.depth_ask_50bps_usd,
        depths.depth_ask_100bps_usd

    from timed

    left join {{ ref('bars_1m') }} as bars
        on
            timed.instrument_id = bars.instrument_id
            and timed.minute_at = bars.minute_at

    {{ asof_left_join('depths', 'depths', ['instrument_id'], 'timed', 'minute_end_at', 'stood_at') }}

),

averaged as (

    select
        *,
        buy_count + sell_count + unsided_count as print_count,
        priced_count / cast(nullif(buy_count + sell_count, 0) as double) as priced_share,
        {{ mean_of('quoted', 'quoted_s') }} as quoted_bps,
        {{ mean_of('effective', 'weight') }} as effective_bps,
        -- Over the same prints or not at all: what is not given back is impact.
        case when count_5s = priced_count then {{ mean_of('realised_5s', 'weight') }} end
            as realised_5s_bps,
        case when count_1m = priced_count then {{ mean_of('realised_1m', 'weight') }} end
            as realised_1m_bps,
        case when count_5m = priced_count then {{ mean_of('realised_5m', 'weight') }} end
            as realised_5m_bps,
        depth_age_s <= 600 as is_depth_recent

    from met

),

final as (

    select
        venue,
        underlying,
        instrument_id,
        minute_at,
        cast(print_count as bigint) as print_count,
        cast(priced_count as bigint) as priced_count,
        quoted_bps,
        least(quoted_s / 60, 1) as quoted_share,
        effective_bps,
        realised_5s_bps,
        realised_1m_bps,
        realised_5m_bps,
        effective_bps - realised_5s_bps as impact_5s_bps,
        effective_bps - realised_1m_bps as impact_1m_bps,
        effective_bps - realised_5m_bps as impact_5m_bps,
        case
            when priced_count = 0 then null
            when book_count = 0 then 'quotes'
            when book_count = priced_count then 'books'
            else 'quotes_and_books'
        end as mid_source,
        age_s / nullif(priced_count, 0) as mid_age_s,
        case when is_depth_recent then depth_bid_5bps_usd end as depth_bid_5bps_usd,
        case when is_depth_recent then depth_bid_10bps_usd end as depth_bid_10bps_usd,
        case when is_depth_recent then depth_bid_25bps_usd end as depth_bid_25bps_usd,
        case when is_depth_recent then depth_bid_50bps_usd end as depth_bid_50bps_usd,
        case when is_depth_recent then depth_bid_100bps_usd end as depth_bid_100bps_usd,
        case when is_depth_recent then depth_ask_5bps_usd end as depth_ask_5bps_usd,
        case when is_depth_recent then depth_ask_10bps_usd end as depth_ask_10bps_usd,
        case when is_depth_recent then depth_ask_25bps_usd end as depth_ask_25bps_usd,
        case when is_depth_recent then depth_ask_50bps_usd end as depth_ask_50bps_usd,
        case when is_depth_recent then depth_ask_100bps_usd end as depth_ask_100bps_usd,
        case when is_depth_recent then depth_age_s end as depth_age_s,
        greatest(
            closes_at,
            inputs_available_at,
            coalesce(bars_available_at, closes_at),
            coalesce(case when is_depth_recent then depth_available_at end, closes_at)
        ) as available_at,
        {{ quality(
            'minute_end_at',
            'newest_event_at',
            'least(coalesce(coverage_share, 1), coalesce(priced_share, 1))',
            hard_flags=[('priced_count = 0 and quoted_s = 0', 'no_mid')],
            soft_flags=[
                ('quoted_s > 0 and quoted_s < 30', 'sparse_quotes'),
                ('priced_share < 1', 'mids_missing'),
                ('priced_count > least(count_5s, count_1m, count_5m)', 'later_mids_missing'),
                ('unsided_count > 0', 'side_unknown'),
                ('is_unproven', 'coverage_unproven'),
                ('is_assumed', 'assumed_availability'),
            ],
        ) }}

    from averaged

    -- Of a minute that has only what followed it, nothing else arrived.
    where print_count > 0 or quoted_s > 0

)

select * from final

where available_at <= {{ as_of() }}
