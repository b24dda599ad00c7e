{# Size of a print as the venue counts it: contracts of an inverse instrument, else base coins. #}
{% macro native_size(trades, instruments) -%}
    case
        when {{ instruments }}.contract_type = 'inverse' then {{ trades }}.quantity_contracts
        else {{ trades }}.quantity_base
    end
{%- endmacro %}

{# Lots as contracts or base coins, without the noise of multiplying by 0.01. #}
{% macro native(lots) -%}
    cast({{ exact("(" ~ lots ~ ") * lot_native") }} as double)
{%- endmacro %}

{# Base coins of one side among the first `lots` lots of a day, where row `print` is the print in
   which they end: whole prints before it and a share of it. #}
{% macro base_until(print, lots, before, is_buy) -%}
    (
        {{ print }}.{{ before }}
        + case
            when {{ "" if is_buy else "not " }}{{ print }}.is_buy
                then {{ print }}.quantity_base * (({{ lots }}) - {{ print }}.lots_before)
                    / {{ print }}.lots
            else 0
        end
    )
{%- endmacro %}
