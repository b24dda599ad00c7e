{# Arithmetic that gives the same bits on every run and both engines. #}

{# A sum that does not depend on the order of rows: to ten decimals, exact in between. #}
{% macro exact_sum(value) -%}
    cast(sum({{ exact(value) }}) as double)
{%- endmacro %}

{# A double as the decimal number it was printed from. #}
{% macro exact(value) -%}
    cast({{ value }} as decimal(38, 10))
{%- endmacro %}

{# How many decimals a number has, at most ten. #}
{% macro decimal_places(value) -%}
    case
        {%- for places in range(10) %}
        when round({{ value }}, {{ places }}) = {{ value }} then {{ places }}
        {%- endfor %}
        else 10
    end
{%- endmacro %}

{# base ^ exponent - 1, NULL where it is not a number or beyond 1e300. #}
{% macro growth(base, exponent) -%}
    case
        when {{ base }} > 0 and ({{ exponent }}) * ln({{ base }}) < 690
            then power({{ base }}, {{ exponent }}) - 1
    end
{%- endmacro %}
