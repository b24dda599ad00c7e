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

{# Prints of the marked minutes or seconds in which a bucket ends, as the rows that mark them:
   `instant` names the print's own. #}
{% macro marked_prints(marked, trades, instruments, at, instant) -%}
    select
        marked.instrument_id,
        marked.classification,
        marked.day_at,
        marked.bucket_lots,
        marked.open_lots,
        marked.open_bucket_lots,
        marked.places,
        marked.minute_at,
        marked.native_before,
        marked.bought_share,
        trades.sequence,
        trades.trade_id,
        trades.event_at,
        trades.available_at,
        trades.quantity_base,
        {{ book_size('trades', 'instruments') }} as size_native,
        -- Of a volume bought in bulk each print has its minute's share.
        coalesce(marked.bought_share, case trades.side when 'buy' then 1e0 when 'sell' then 0e0 end)
            as share,
        case when trades.sequence is null then 0 else 1 end as numbered,
        case when trades.is_availability_assumed then 1 else 0 end as assumed,
        case when not trades.is_block and trades.side is null then 1 else 0 end as unsided,
        case
            when not trades.is_block and {{ native_size('trades', 'instruments') }} is null then 1
            else 0
        end as unsized

    from {{ trades }} as trades

    inner join {{ marked }} as marked
        on
            trades.instrument_id = marked.instrument_id
            and {{ instant }} = marked.{{ at }}
            and marked.has_edge

    left join {{ instruments }} as instruments
        on
            trades.instrument_id = instruments.instrument_id
            and trades.event_at >= instruments.valid_from
            and trades.event_at < instruments.valid_to
{%- endmacro %}

{# Whether a bucket ends strictly inside what was traded between two running sums of a day. #}
{% macro has_edge(before, until, plan) -%}
    {{ edges_until(lots_of(until, plan ~ '.places') ~ ' - 1', plan) }}
    > {{ edges_until(lots_of(before, plan ~ '.places'), plan) }}
{%- endmacro %}
