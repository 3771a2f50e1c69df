# SPDX-License-Identifier: Apache-2.0
"""The doors of OpenTrail's own that ask back: the search and the import."""

from collections.abc import Mapping

from opentrail.access.key_table import KeyTable
from opentrail.clock import Clock, Ids
from opentrail.config.settings import Settings
from opentrail.front.backend import Backend
from opentrail.front.importing import ImportDoor, ImportRooms
from opentrail.front.ops import IMPORT_PATH, SEARCH_PATH, Door
from opentrail.front.own_event import OwnEvents
from opentrail.front.parts import identities_of
from opentrail.front.search import SearchHttp


def own_doors(
    settings: Settings, keys: KeyTable, clock: Clock, ids: Ids, backend: Backend, rooms: ImportRooms
) -> Mapping[str, Door]:
    """Return them by their paths."""
    verify = settings.api.auth == "verify"
    events = OwnEvents(identities_of(settings, keys), clock, ids)
    importing = ImportDoor(keys, rooms, events, clock, verify=verify)
    search = SearchHttp(keys, backend.search, (events, rooms.append), clock, verify=verify)
    return {IMPORT_PATH: importing.handle, SEARCH_PATH: search.handle}
