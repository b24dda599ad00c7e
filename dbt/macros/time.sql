{# Instants are TIMESTAMP in UTC; what is spelled differently on the two engines stands here. #}

{# The moment by which a row must have been knowable to be read. #}
{% macro as_of() -%}
    cast('{{ var("as_of") }}' as timestamp)
{%- endmacro %}

{% macro day_of(instant) -%}
    cast(date_trunc('day', {{ instant }}) as timestamp)
{%- endmacro %}

{% macro hour_of(instant) -%}
    cast(date_trunc('hour', {{ instant }}) as timestamp)
{%- endmacro %}

{% macro minute_of(instant) -%}
    cast(date_trunc('minute', {{ instant }}) as timestamp)
{%- endmacro %}

{% macro second_of(instant) -%}
    cast(date_trunc('second', {{ instant }}) as timestamp)
{%- endmacro %}

{# Microseconds since 1970, BIGINT: the exact arithmetic of instants. #}
{% macro micros(instant) -%}
    {{ return(adapter.dispatch('micros', 'hedgehouse')(instant)) }}
{%- endmacro %}

{% macro default__micros(instant) -%}
    epoch_us({{ instant }})
{%- endmacro %}

{% macro spark__micros(instant) -%}
    unix_micros(cast({{ instant }} as timestamp))
{%- endmacro %}

{# The instant that `micros` counts. #}
{% macro instant_of(microseconds) -%}
    {{ return(adapter.dispatch('instant_of', 'hedgehouse')(microseconds)) }}
{%- endmacro %}

{% macro default__instant_of(microseconds) -%}
    make_timestamp({{ microseconds }})
{%- endmacro %}

{% macro spark__instant_of(microseconds) -%}
    timestamp_micros({{ microseconds }})
{%- endmacro %}

{# Seconds from `earlier` to `later`, DOUBLE, negative when they are the other way round. #}
{% macro seconds_between(earlier, later) -%}
    (({{ micros(later) }} - {{ micros(earlier) }}) / 1000000.0)
{%- endmacro %}

{# `instant` moved by a number of seconds, which may be fractional or negative. #}
{% macro plus_seconds(instant, seconds) -%}
    {{ instant_of(micros(instant) ~ " + cast(round(1e6 * (" ~ seconds ~ ")) as bigint)") }}
{%- endmacro %}

{% macro day_end(instant) -%}
    {{ plus_seconds(day_of(instant), 86400) }}
{%- endmacro %}

{% macro minute_end(instant) -%}
    {{ plus_seconds(minute_of(instant), 60) }}
{%- endmacro %}

{# End of the bin of `seconds` that holds the instant: an instant on the grid is its own end. #}
{% macro bin_end(instant, seconds) -%}
    {%- set width = seconds * 1000000 -%}
    {{ instant_of("cast(ceil(" ~ micros(instant) ~ " / " ~ width ~ ".0) as bigint) * " ~ width) }}
{%- endmacro %}
