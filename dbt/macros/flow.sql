{# Size of a print as the venue counts it: contracts of an inverse instrument, else base coins. #}
{% macro native_size(trades, instruments) -%}
    case
        when {{ instruments }}.contract_type = 'inverse' then {{ trades }}.quantity_contracts
        else {{ trades }}.quantity_base
    end
{%- endmacro %}

{# The same where it counts for flow: negotiated prints do not. #}
{% macro book_size(trades, instruments) -%}
    case when not {{ trades }}.is_block then {{ native_size(trades, instruments) }} end
{%- endmacro %}

{# Lots of 10^-places as contracts or base coins, without the noise of multiplying by 0.01. #}
{% macro native(lots, places) -%}
    cast({{ lots }} as double) / power(1e1, {{ places }})
{%- endmacro %}

{# How many edges of buckets lie among the first `lots` lots of a day, its last one included. #}
{% macro edges_until(lots, plan) -%}
    case
        when {{ lots }} < {{ plan }}.open_bucket_lots - {{ plan }}.open_lots then 0
        else
            1 + cast(floor(
                ({{ lots }} - ({{ plan }}.open_bucket_lots - {{ plan }}.open_lots))
                / {{ plan }}.bucket_lots
            ) as bigint)
    end
{%- endmacro %}

{# Contracts or base coins as lots of 10^-places: differences of two running sums add up. #}
{% macro lots_of(amount, places) -%}
    cast(round(cast({{ amount }} as double) * power(1e1, {{ places }})) as bigint)
{%- endmacro %}

{# Lots of 10^-from_places as lots of 10^-to_places, which must divide them. #}
{% macro lots_again(lots, from_places, to_places) -%}
    cast(round(({{ lots }}) * power(1e1, {{ to_places }} - {{ from_places }})) as bigint)
{%- endmacro %}
