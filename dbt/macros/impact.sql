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

{# Since when a quote's state surely stood. The venue of a state that was asked for at an instant of the
   grid answered later: what it shows may be of any moment until its receipt. A recording has the
   venue's own stamps, and says how whole it is. #}
{% macro quote_stood_at() -%}
    case
        when is_every_update is null then greatest(snapshot_at, coalesce(received_at, snapshot_at))
        else snapshot_at
    end
{%- endmacro %}
