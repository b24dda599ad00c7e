{# Identity of a decision: MD5 of its fields and the model's version, joined by '|' in the order
   portfolio_id, policy, leg, as_of_at (microseconds since 1970), model_version, action, is_triggered
   (true, false), instrument_id, order_side, quantity_contracts, quantity_base (eight decimals);
   a missing value is empty. The same decision has the same id in every build. #}
{% macro signal_id() -%}
    md5(concat_ws(
        '|',
        portfolio_id,
        policy,
        leg,
        cast({{ micros('as_of_at') }} as varchar),
        '{{ var("model_version") }}',
        action,
        coalesce(cast(is_triggered as varchar), ''),
        coalesce(instrument_id, ''),
        coalesce(order_side, ''),
        {{ text_of('quantity_contracts', 8) }},
        {{ text_of('quantity_base', 8) }}
    ))
{%- endmacro %}
