{# A surface as the functions of surfaces take it: the slices of a group in the order of expiries. #}
{% macro surface_lists() -%}
    {%- set columns = [
        't_years', 'forward', 'svi_a', 'svi_b', 'svi_rho', 'svi_m', 'svi_sigma',
        'lowest_log_moneyness', 'highest_log_moneyness',
    ] -%}
    {%- for column in columns %}
        {{ list_of(column, 'expires_at') }}{{ "," if not loop.last }}
    {%- endfor %}
{%- endmacro %}
