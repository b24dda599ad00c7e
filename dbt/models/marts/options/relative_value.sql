with

slices as (

    select *

    from {{ ref('surface_slices') }}

    where fit_kind = 'raw'

),

quotes as (

    select
        *,
        (iv_ask - iv_bid) / 2 as half_spread_iv,
        row_number() over (
            partition by venue, underlying, expires_at, snapshot_at
            order by log_moneyness asc nulls last, instrument_id asc nulls last
        ) as place

    from {{ ref('quotes') }}

    where iv_mid is not null and not is_settling

),

expiries as (

    select
        venue,
        underlying,
        expires_at,
        snapshot_at,
        {{ short_list_of('log_moneyness', 'place') }} as moneynesses,
        {{ short_list_of('iv_mid * iv_mid * t_years', 'place') }} as variances,
        {{ short_list_of('case when use_in_fit then 1 / half_spread_iv else 0 end', 'place') }} as weights

    from quotes

    group by venue, underlying, expires_at, snapshot_at

),

refitted as (

    select
        expiries.venue,
        expiries.underlying,
        expiries.expires_at,
        expiries.snapshot_at,
        slices.butterfly_min_g,
        {{ has_flag('slices.quality_flags', 'forward_not_from_parity') }} as is_forward_elsewhere,
        svi_left_out(
            slices.svi_a, slices.svi_b, slices.svi_rho, slices.svi_m, slices.svi_sigma, slices.t_years,
            expiries.moneynesses, expiries.variances, expiries.weights
        ) as others

    from expiries

    inner join slices
        on
            expiries.venue = slices.venue
            and expiries.underlying = slices.underlying
            and expiries.expires_at = slices.expires_at
            and expiries.snapshot_at = slices.snapshot_at

),

fits as (

    select
        venue,
        underlying,
        expires_at,
        snapshot_at,
        butterfly_min_g,
        is_forward_elsewhere,
        {{ exploded('others') }} as other

    from refitted

),

compared as (

    select
        quotes.*,
        fits.other.iv as fitted_iv,
        fits.other.error_iv,
        fits.other.quotes_left,
        fits.other.is_inside,
        fits.other.is_outlier,
        quotes.iv_mid - fits.other.iv as residual_iv,
        (quotes.iv_mid - fits.other.iv) / nullif(quotes.half_spread_iv, 0) as z,
        fits.butterfly_min_g,
        fits.is_forward_elsewhere,
        rules.min_z,
        rules.min_error_multiple

    from quotes

    inner join fits
        on
            quotes.venue = fits.venue
            and quotes.underlying = fits.underlying
            and quotes.expires_at = fits.expires_at
            and quotes.snapshot_at = fits.snapshot_at
            and quotes.place = fits.other.place

    inner join {{ ref('relative_value_rules') }} as rules
        on quotes.snapshot_at >= rules.valid_from and quotes.snapshot_at < rules.valid_to

),

judged as (

    select
        *,
        case
            when z is null or error_iv is null or not is_inside then null
            when abs(z) < min_z or abs(residual_iv) < min_error_multiple * error_iv then 'fair'
            when z > 0 then 'rich'
            else 'cheap'
        end as verdict

    from compared

),

final as (

    select
        venue,
        underlying,
        instrument_id,
        expires_at,
        strike,
        option_type,
        snapshot_at,
        log_moneyness,
        iv_bid,
        iv_mid,
        iv_ask,
        half_spread_iv,
        use_in_fit,
        is_outlier,
        fitted_iv,
        error_iv,
        cast(quotes_left as integer) as quotes_left,
        residual_iv,
        z,
        residual_iv * 100 * vega_usd as residual_usd,
        verdict,
        available_at,
        {{ quality(
            'snapshot_at',
            'coalesce(quoted_at, snapshot_at)',
            'null',
            hard_flags=[('fitted_iv is null', 'no_fit')],
            soft_flags=[
                ('not is_inside', 'beyond_other_strikes'),
                ('error_iv is null', 'no_error'),
                ('half_spread_iv is null', 'no_half_spread'),
                ('butterfly_min_g < 0', 'butterfly_arbitrage'),
                ('is_forward_elsewhere', 'forward_not_from_parity'),
            ],
        ) }}

    from judged

)

select * from final
