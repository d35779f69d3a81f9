"""What is counted of Sparkplug messages beside readings, each with a fixed name that is fit to be a metric's label."""

from collections.abc import Callable
from enum import StrEnum
from typing import TypeAlias

from ringmain.protocols.sparkplug.metric import Kind, Metric
from ringmain.protocols.sparkplug.values import NUMBERS, DataType


class Counted(StrEnum):
    """Reasons for which a metric is no reading, and what else happens between a node and the platform."""

    NULL = "null"
    NOT_FINITE = "not_finite"
    TRANSIENT = "transient"
    TEXT = "text"
    BYTES = "bytes"
    ARRAY = "array"
    DATASET = "dataset"
    TEMPLATE = "template"
    UNKNOWN_TYPE = "unknown_type"
    COLLISION = "collision"
    ANNOTATED = "annotated"
    OLD_DEATH = "old_death"
    REBIRTH_ASKED = "rebirth_asked"
    REBIRTH_HELD = "rebirth_held"
    NODE_FORGOTTEN = "node_forgotten"


MEANINGS: dict[Counted, str] = {
    Counted.NULL: "metrics that are null or have no value",
    Counted.NOT_FINITE: "NaN and infinities",
    Counted.TRANSIENT: "metrics that their node wants nobody to store",
    Counted.TEXT: "values of String, Text and UUID",
    Counted.BYTES: "values of Bytes and File",
    Counted.ARRAY: "values of the array types",
    Counted.DATASET: "values of DataSet",
    Counted.TEMPLATE: "values of Template",
    Counted.UNKNOWN_TYPE: "values of a datatype that the specification does not have",
    Counted.COLLISION: "values of metrics that share the name of a channel",
    Counted.ANNOTATED: "metrics with properties or metadata, which are not looked at (the value is)",
    Counted.OLD_DEATH: "NDEATHs of another `bdSeq` than the birth in force; they change nothing",
    Counted.REBIRTH_ASKED: "rebirth requests sent",
    Counted.REBIRTH_HELD: "rebirth requests that were wanted too soon after the last one",
    Counted.NODE_FORGOTTEN: "nodes whose births were forgotten to make room for others",
}

OnCounted: TypeAlias = Callable[[Counted, int], None]

_NOT_NUMBERS: dict[int, Counted] = {
    **dict.fromkeys((DataType.STRING, DataType.TEXT, DataType.UUID), Counted.TEXT),
    **dict.fromkeys((DataType.BYTES, DataType.FILE), Counted.BYTES),
    **dict.fromkeys(range(DataType.INT8_ARRAY, DataType.DATETIME_ARRAY + 1), Counted.ARRAY),
    DataType.DATASET: Counted.DATASET,
    DataType.TEMPLATE: Counted.TEMPLATE,
}


def no_reading(datatype: int, metric: Metric) -> Counted | None:
    """Why a metric of a declared datatype is no reading; None where it may be one."""
    if datatype not in NUMBERS:
        return _NOT_NUMBERS.get(datatype, Counted.UNKNOWN_TYPE)
    if metric.is_transient:
        return Counted.TRANSIENT
    return Counted.NULL if metric.is_null or metric.kind is Kind.NONE else None
