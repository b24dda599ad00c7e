{# For each row of `rows` the newest row of `history` at or before it: rows.* and, prefixed, the
   columns of `history` named; NULL where there is none.

   rows, history     names of CTEs; (match, history_at) is unique in `history`
   match             columns equal in both
   rows_at, history_at   the instants compared
   key               columns that identify a row of `rows` #}
{% macro latest_before(rows, history, match, rows_at, history_at, columns, prefix, key) -%}
    {{ return(adapter.dispatch('latest_before', 'hedgehouse')(
        rows, history, match, rows_at, history_at, columns, prefix, key
    )) }}
{%- endmacro %}

{% macro default__latest_before(rows, history, match, rows_at, history_at, columns, prefix, key) -%}
    select
        {{ rows }}.*
        {%- for column in columns %},
        {{ history }}.{{ column }} as {{ prefix }}{{ column }}
        {%- endfor %}

    from {{ rows }}

    asof left join {{ history }}
        on
            {%- for column in match %}
            {{ rows }}.{{ column }} = {{ history }}.{{ column }} and
            {%- endfor %}
            {{ rows }}.{{ rows_at }} >= {{ history }}.{{ history_at }}
{%- endmacro %}

{% macro spark__latest_before(rows, history, match, rows_at, history_at, columns, prefix, key) -%}
    select
        {{ rows }}.*
        {%- for column in columns %},
        found.newest.{{ column }} as {{ prefix }}{{ column }}
        {%- endfor %}

    from {{ rows }}

    left join (
        select
            {% for column in key %}{{ rows }}.{{ column }}, {% endfor %}
            max_by(
                struct({% for column in columns %}{{ history }}.{{ column }}{{ ", " if not loop.last }}{% endfor %}),
                {{ history }}.{{ history_at }}
            ) as newest

        from {{ rows }}

        inner join {{ history }}
            on
                {%- for column in match %}
                {{ rows }}.{{ column }} = {{ history }}.{{ column }} and
                {%- endfor %}
                {{ rows }}.{{ rows_at }} >= {{ history }}.{{ history_at }}

        group by {% for column in key %}{{ rows }}.{{ column }}{{ ", " if not loop.last }}{% endfor %}
    ) as found
        on
            {%- for column in key %}
            {{ rows }}.{{ column }} = found.{{ column }}{{ " and" if not loop.last }}
            {%- endfor %}
{%- endmacro %}
