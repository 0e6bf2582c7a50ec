"""One sound history as APIs and tools give it in JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pandas as pd

FIGURES = ("spend", "impressions", "clicks", "conversions", "revenue")


def meta_rows(history: pd.DataFrame, **also: str) -> list[dict[str, Any]]:
    """Rows of Meta's insights: texts, results in lists of actions; `also`: further actions and their number a day."""
    rows = []
    for row in history.to_dict("records"):
        steps = [("link_click", row["clicks"]), ("add_to_cart", 99), *also.items()]
        sold = ["purchase", "omni_purchase"] if row["conversions"] else []
        rows.append(
            {
                "date_start": row["date"],
                "date_stop": row["date"],
                "publisher_platform": row["platform"],
                "account_currency": "EUR",
                **{name: str(row[name]) for name in FIGURES[:3]},
                "actions": _pairs([*steps, *((name, row["conversions"]) for name in sold)]),
                "action_values": _pairs([("add_to_cart", 5000), *((name, row["revenue"]) for name in sold)]),
            }
        )
    return rows


def _pairs(actions: list[tuple[str, Any]]) -> list[dict[str, str]]:
    return [{"action_type": name, "value": str(value)} for name, value in actions]


def google_rows(history: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows of the Google Ads API, the platform in the place of the campaign."""
    return [
        {
            "campaign": {"resourceName": "customers/1/campaigns/2", "name": row["platform"]},
            "segments": {"date": row["date"]},
            "metrics": {
                "costMicros": str(round(row["spend"] * 1e6)),
                "impressions": str(row["impressions"]),
                "clicks": str(row["clicks"]),
                "conversions": row["conversions"],
                "conversionsValue": row["revenue"],
            },
        }
        for row in history.to_dict("records")
    ]


def shapes(history: pd.DataFrame) -> Mapping[str, str]:
    """The history in JSON, by where it comes from."""
    records = history.to_dict("records")
    days = [dict(zip(("year", "month", "day"), map(int, row["date"].split("-")), strict=True)) for row in records]
    by_platform = {name: rows.drop(columns="platform").to_dict("records") for name, rows in history.groupby("platform")}
    names = list(history.columns)
    table = history.to_numpy(dtype=object).tolist()
    found: dict[str, Any] = {
        "lists": history.to_dict("list"),
        "cells": [names, *table],
        "Google Sheets": {"range": "A1:G81", "values": [names, *history.astype(str).to_numpy().tolist()]},
        "meta": {"data": meta_rows(history), "paging": {"cursors": {"before": "a", "after": "b"}}},
        "Analytics": {
            "dimensionHeaders": [{"name": "date"}, {"name": "sessionSource"}],
            "metricHeaders": [
                {"name": name, "type": "TYPE_FLOAT"}
                for name in (
                    *("advertiserAdCost", "advertiserAdImpressions", "advertiserAdClicks", "keyEvents"),
                    "totalRevenue",
                )
            ],
            "rows": [
                {
                    "dimensionValues": [{"value": row["date"].replace("-", "")}, {"value": row["platform"]}],
                    "metricValues": [{"value": str(row[name])} for name in FIGURES],
                }
                for row in records
            ],
            "rowCount": len(records),
        },
        "BigQuery's API": {
            "schema": {"fields": [{"name": name, "type": "STRING"} for name in names]},
            "rows": [{"f": [{"v": str(row[name])} for name in names]} for row in records],
        },
        "tiktok": {
            "code": 0,
            "message": "OK",
            "data": {
                "page_info": {"page": 1, "page_size": 1000, "total_number": len(records), "total_page": 1},
                "list": [
                    {
                        "dimensions": {"stat_time_day": f"{row['date']} 00:00:00", "campaign_id": "17"},
                        "metrics": {"platform": row["platform"], **{name: str(row[name]) for name in FIGURES}},
                    }
                    for row in records
                ],
            },
        },
        "linkedin": {
            "paging": {"start": 0, "count": len(records), "links": []},
            "elements": [
                {
                    "dateRange": {"start": day, "end": day},
                    "platform": row["platform"],
                    "costInLocalCurrency": str(row["spend"]),
                    "impressions": row["impressions"],
                    "clicks": row["clicks"],
                    "externalWebsiteConversions": row["conversions"],
                    "conversionValueInLocalCurrency": str(row["revenue"]),
                }
                for day, row in zip(days, records, strict=True)
            ],
        },
        "apple": {
            "error": None,
            "pagination": {"totalResults": 2, "startIndex": 0, "itemsPerPage": 20},
            "data": {
                "reportingDataResponse": {
                    "row": [
                        {
                            "other": False,
                            "metadata": {"campaignId": 5, "platform": name},
                            "granularity": [
                                {
                                    "date": row["date"],
                                    "localSpend": {"amount": str(row["spend"]), "currency": "EUR"},
                                    "impressions": row["impressions"],
                                    "taps": row["clicks"],
                                    "totalInstalls": row["conversions"],
                                    "revenue": row["revenue"],
                                }
                                for row in rows
                            ],
                        }
                        for name, rows in by_platform.items()
                    ]
                }
            },
        },
        "a list for each platform": by_platform,
        "days within platforms": [
            {"platform": name, "spend": 1.0, "impressions": 7, "days": rows} for name, rows in by_platform.items()
        ],
    }
    return {
        **{name: json.dumps(document) for name, document in found.items()},
        **{
            f"pandas {orient}": history.to_json(orient=orient)
            for orient in ("records", "columns", "index", "split", "table")
        },
        "pandas epoch": history.assign(date=pd.to_datetime(history["date"])).to_json(orient="records"),
        "lines": history.to_json(orient="records", lines=True),
        "airbyte": "\n".join(
            [
                *(json.dumps({"type": "RECORD", "record": {"stream": "ads", "data": row}}) for row in records),
                json.dumps({"type": "STATE", "state": {"data": {"date": "2025-02-14"}}}),
            ]
        ),
    }
