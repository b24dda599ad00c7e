with

slices as (

    select
        *,
        svi_law(svi_a, svi_b, svi_rho, svi_m, svi_sigma) as law

    from {{ ref('int_slices') }}

),

laws as (

    select
        *,
        law.mass,
        law.mean_error,
        law.negative_mass,
        law.minimum_g,
        law.law_status

    from slices

),

final as (

    select
        venue,
        underlying,
        expires_at,
        snapshot_at,
        fit_kind,
        t_years,
        forward,
        {%- for level in ['01', '05', '10', '25', '50', '75', '90', '95', '99'] %}
            forward * exp(law.k_{{ level }}) as quantile_{{ level }}_usd,
        {%- endfor %}
        law.probability_below_10,
        law.probability_below_20,
        law.probability_below_30,
        mass,
        mean_error,
        negative_mass,
        minimum_g,
        law_status,
        available_at,
        {{ quality(
            'snapshot_at',
            'newest_quoted_at',
            'null',
            hard_flags=[("law_status in ('no_slice', 'not_positive')", 'no_law')],
            soft_flags=[
                ("law_status = 'negative_density'", 'negative_density'),
                ('abs(mass - 1) > 0.001', 'mass_missing'),
                ('abs(mean_error) > 0.001', 'mean_off_forward'),
                ('is_forward_elsewhere', 'forward_not_from_parity'),
            ],
        ) }}

    from laws

)

select * from final
