{# Prints and quotes as the functions of price impact take them. #}

{# The rows of a group as a list of structs, in any order; `fields` maps names to values. #}
{% macro records(fields) -%}
    {{ return(adapter.dispatch('records', 'hedgehouse')(fields)) }}
{%- endmacro %}

{% macro default__records(fields) -%}
    list(struct_pack(
        {%- for name, value in fields.items() %}
        {{ name }} := {{ value }}{{ "," if not loop.last }}
        {%- endfor %}
    ))
{%- endmacro %}

{% macro spark__records(fields) -%}
    collect_list(named_struct(
        {%- for name, value in fields.items() %}
        '{{ name }}', {{ value }}{{ "," if not loop.last }}
        {%- endfor %}
    ))
{%- endmacro %}

{# A weighted mean, NULL where nothing was weighed. #}
{% macro mean_of(total, weight) -%}
    {{ total }} / nullif({{ weight }}, 0)
{%- endmacro %}
