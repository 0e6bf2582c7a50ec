"""Behaviour sequences: what a user did before an impression, as it was known then (§2.1)."""

from __future__ import annotations

import pyarrow as pa

from crossmix.schema import behaviour_id
from crossmix.sources import Table
from crossmix.sources.late import ibis

SEQUENCES = pa.schema([("impression_id", pa.string()), ("events", pa.list_(pa.int16()))])


def sequences(table: Table, platforms: list[str], length: int) -> Table:
    """Each impression's behaviour: the user's last events known strictly before it, oldest first.

    An impression and its click are known at its timestamp, a conversion at its own (one without a time never is).
    Events of the same microsecond as the impression are not before it.

    Returns:
        impression_id, timestamp, events (array of `schema.behaviour_id`, at most `length`).
    """
    slot = table["platform"].cases(*((name, index) for index, name in enumerate(platforms)), else_=0)
    per_slot = behaviour_id(1, 0) - behaviour_id(0, 0)
    # 16 bits hold every token, and a window, a join and a sort carry up to `length` of them for each impression.
    first = (slot * per_slot + behaviour_id(0, 0)).cast("int16")
    table = table.select(
        "user_id", "impression_id", "timestamp", "clicked", "conversion_timestamp", "converted", _first=first
    )
    shown = table.select(
        "user_id", known=table["timestamp"], token=(table["_first"] + table["clicked"].cast("int16")).cast("int16")
    )
    sold = table.filter(table["converted"] & table["conversion_timestamp"].notnull())
    sold = sold.select("user_id", known=sold["conversion_timestamp"], token=(sold["_first"] + 2).cast("int16"))
    events = shown.union(sold)
    # Events of the same moment and token are the same to whoever reads them, so their order among themselves is free.
    order = [events["known"], events["token"]]
    rows = ibis.window(group_by=events["user_id"], order_by=order, preceding=(length, 1))
    last = events["known"].lag().over(group_by=events["user_id"], order_by=order)
    ordered = events.mutate(before=events["token"].collect().over(rows), last=last)
    # Only the first of simultaneous events has nothing but earlier ones before it.
    leading = ordered["last"].isnull() | (ordered["last"] != ordered["known"])
    history = ordered.filter(leading).select("user_id", "known", "before")
    joined = table.left_join(history, [("user_id", "user_id"), (table["timestamp"], history["known"])])
    empty = ibis.literal([], type="array<int16>")
    return joined.select(
        impression_id=table["impression_id"],
        timestamp=table["timestamp"],
        events=ibis.coalesce(history["before"], empty),
    )
