"""Documents of the vertical: tariffs, accounts, usage points and installations, every version of each."""

from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

import msgspec

from ringmain.apps.server.api.context import Context
from ringmain.apps.server.api.kit.declaration import Call, Reply, Route
from ringmain.apps.server.api.kit.problems import Rejected
from ringmain.apps.server.api.paging import Page, page_of, read_cursor
from ringmain.apps.server.api.words import LIMIT, Cursor, Limit, Name, Serial
from ringmain.metering.documents import ACCOUNT, INSTALLATION, TARIFF, USAGE_POINT, Documents
from ringmain.metering.installation import Account, Installations, UsagePoint
from ringmain.metering.tariffs import Tariff
from ringmain.ports.credentials import Role
from ringmain.ports.ledger import Record

NounT = TypeVar("NounT")


class DocumentsQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    limit: Limit = LIMIT
    cursor: Cursor | None = None


class DocumentParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: Name


class DocumentQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: Name
    version: Serial | None = None


class Document(msgspec.Struct, Generic[NounT], frozen=True):
    """One version of a document, as the ledger holds it."""

    id: str
    version: int
    document: NounT


class Kind(msgspec.Struct, frozen=True):
    """One kind of document: where it lives, its noun, the noun's own id, and how it is put."""

    path: str
    stored: str
    noun: type[msgspec.Struct]
    id_field: str
    title: str
    example: dict[str, Any]
    put: Callable[..., Awaitable[Record]]


KINDS = (
    Kind(
        "tariffs",
        TARIFF,
        Tariff,
        "id",
        "tariff",
        {
            "id": "flat",
            "name": "Flat",
            "currency": "GBP",
            "versions": [{"valid_from": "2013-01-01", "price": "0.14228"}],
        },
        Documents.put_tariff,
    ),
    Kind(
        "usage-points",
        USAGE_POINT,
        UsagePoint,
        "id",
        "usage point",
        {"id": "home", "site": "main"},
        Documents.put_usage_point,
    ),
    Kind(
        "installations",
        INSTALLATION,
        Installations,
        "usage_point",
        "installation",
        {
            "usage_point": "home",
            "links": [{"device": "meter-1", "channel": "energy_wh", "from": "2012-12-31T00:00:00Z"}],
        },
        Documents.put_installations,
    ),
    Kind(
        "accounts",
        ACCOUNT,
        Account,
        "id",
        "account",
        {"id": "smith", "usage_point": "home", "tariff": "flat"},
        Documents.put_account,
    ),
)


def document_answer(record: Record) -> Document[msgspec.Raw]:
    """A document with the very bytes that the ledger keeps."""
    return Document(record.id, record.version, msgspec.Raw(record.body))


def routes_of(kind: Kind) -> tuple[Route, ...]:
    """List, show and put of one kind."""
    name = kind.path.replace("-", "_")

    async def list_documents(context: Context, call: Call[DocumentsQuery, None]) -> Page[Document[msgspec.Raw]]:
        query = call.params
        key = read_cursor(query.cursor, str)
        after = str(key[0]) if key else None
        rows = await context.ledger.page(call.caller.tenant, kind.stored, after=after, limit=query.limit + 1)
        return page_of(rows, query.limit, lambda record: (record.id,), document_answer)

    async def get_document(context: Context, call: Call[DocumentQuery, None]) -> Document[msgspec.Raw]:
        id, version = call.params.id, call.params.version
        record = await context.ledger.get(call.caller.tenant, kind.stored, id, version)
        if record is None:
            named = f"{kind.title} {id}" if version is None else f"version {version} of {kind.title} {id}"
            raise Rejected("not_found", f"There is no {named}.", f"GET /api/v1/{kind.path} lists those there are.")
        return document_answer(record)

    async def put_document(context: Context, call: Call[DocumentParams, Any]) -> Reply:
        if getattr(call.body, kind.id_field) != call.params.id:
            raise Rejected(
                "unprocessable",
                f"The address names {call.params.id}, the body another; nothing was changed.",
                "Write the same id in both.",
                path=f"$.{kind.id_field}",
            )
        before = await context.ledger.get(call.caller.tenant, kind.stored, call.params.id)
        record = await kind.put(context.documents, call.caller.tenant, call.body)
        unchanged = before is not None and before.version == record.version
        return Reply(document_answer(record), status=200 if unchanged else 201)

    list_documents.__name__ = f"list_{name}"
    get_document.__name__ = f"get_{name}"
    put_document.__name__ = f"put_{name}"
    list_documents.__doc__ = "The newest version of each, in the order of their ids."
    put_document.__doc__ = "Writes the next version; none where the newest says the same. Old versions are kept."
    answer: Any = Document[kind.noun]  # type: ignore[name-defined]  # a run-time type
    one = f"/api/v1/{kind.path}/{{id}}"
    return (
        Route(
            "GET",
            f"/api/v1/{kind.path}",
            list_documents,
            f"List {kind.title}s",
            "Metering",
            Page[answer],
            params=DocumentsQuery,
            problems=("unprocessable",),
        ),
        Route(
            "GET",
            one,
            get_document,
            f"Show a version of a document ({kind.title})",
            "Metering",
            answer,
            params=DocumentQuery,
            problems=("not_found",),
        ),
        Route(
            "PUT",
            one,
            put_document,
            f"Write a version of a document ({kind.title})",
            "Metering",
            answer,
            Role.ADMIN,
            DocumentParams,
            kind.noun,
            (200, 201),
            ("not_found", "unprocessable"),
            body_example=kind.example,
        ),
    )


ROUTES = tuple(route for kind in KINDS for route in routes_of(kind))
